//! What the page says of a file before it is sent: how it is read, what becomes of its rows, what can be changed,
//! whether it was sent before.

use fantoccini::elements::Element;

use super::*;

async fn option(browser: &Chromium, within: &str, name: &str) -> Element {
    browser.find(&format!("{within} [name={name}]")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shown_as_it_will_be_read_and_another_way_of_reading_is_chosen() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let file = b"Number;Customer;time_of_start\n1;J\xfcrgen;2017-03-07 12:30:54\n2;Ren\xe9e;2017-03-08\n3;Ada;never\n1;Jo;2017-03-09\n";
    choose(&browser, &[world.write("customers.csv", file)]).await;
    let chosen = chosen("customers.csv");
    let refused = text(&browser, &format!("{chosen} .error")).await;
    assert!(refused.contains("no column \"id\"") && refused.contains("Number, Customer"), "{refused}");
    // The columns that there are can be chosen from.
    for (field, column) in [("id", "Number"), ("name", "Customer")] {
        option(&browser, &chosen, field).await.select_by_value(column).await.unwrap();
    }
    says(&browser, &format!("{chosen} .notice"), "they look like windows-1252").await;
    shots(&browser, "undecodable").await;
    let encoding = option(&browser, &chosen, "encoding").await;
    encoding.clear().await.unwrap();
    encoding.send_keys("windows-1252").await.unwrap();
    let zone = option(&browser, &chosen, "zone").await;
    zone.clear().await.unwrap();
    zone.send_keys("Europe/Berlin").await.unwrap();
    says(&browser, &format!("{chosen} td"), "2017-03-07T11:30:54Z").await;
    says(&browser, &format!("{chosen} td"), "jürgen").await;
    says(&browser, &format!("{chosen} tr.reject"), "rejected: ").await;
    says(&browser, &format!("{chosen} td.outcome"), "duplicate: line 2 has this id").await;
    let found = text(&browser, &format!("{chosen} .found")).await;
    assert!(found.contains("Semicolon") && found.contains("windows-1252") && found.contains("4 rows"), "{found}");
    shots(&browser, "changed").await;
    click(&browser, &format!("{chosen} .check input")).await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card("customers.csv"))).await;
    let table = world.table().await;
    assert_eq!(table["1"], ("jürgen".to_owned(), "2017-03-07T11:30:54.000Z".to_owned()));
    assert_eq!((table.len(), table["2"].0.as_str()), (2, "renée"));
    the_next_like_it_is_read_so_from_the_start(&browser, &world).await;
    only_refusals_are_severe(&browser, &[("/preview?", "422"), ("/preview?", "400")]).await;
    browser.close().await;
}

async fn the_next_like_it_is_read_so_from_the_start(browser: &Chromium, world: &World) {
    browser.page.refresh().await.unwrap();
    let file = world.write("more.csv", b"Number;Customer;time_of_start\n4;Zo\xeb;2017-03-07 12:30:54\n");
    choose(browser, &[file]).await;
    let chosen = chosen("more.csv");
    says(browser, &format!("{chosen} .notice"), "Read as you chose for files like this: ").await;
    says(browser, &format!("{chosen} td"), "zoë").await;
    send(browser).await;
    browser.find(&format!("{} .state.done", card("more.csv"))).await;
    assert_eq!(world.table().await["4"], ("zoë".to_owned(), "2017-03-07T11:30:54.000Z".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_since_it_was_chosen_is_to_be_chosen_again() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let good = b"id,name,time_of_start\n1,Ada,2020-01-01T00:00:00Z\n";
    let path = world.write("users.csv", good);
    choose(&browser, std::slice::from_ref(&path)).await;
    world.write("users.csv", [good, b"2,Bob,2020-01-01T00:00:00Z\n".as_slice()].concat());
    let chosen = chosen("users.csv");
    click(&browser, &format!("{chosen} summary")).await;
    option(&browser, &chosen, "existing").await.select_by_value("replace").await.unwrap();
    says(&browser, &format!("{chosen} .error"), "since it was chosen, and cannot be read any more").await;
    press(&browser, &chosen, "Remove").await;
    choose(&browser, &[path]).await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card("users.csv"))).await;
    let focused = "document.activeElement.closest(\"article\")?.getAttribute(\"aria-label\")";
    assert_eq!(browser.value(focused).await, "users.csv", "the focus follows what was sent");
    assert_eq!(world.table().await.len(), 2);
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_need_a_format_are_read_in_the_one_that_is_pressed() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let file = world.write("export.csv", "id;name;time_of_start\n1;Ada;01.02.2024 09:05\n2;Bob;02.02.2024 10:00\n");
    choose(&browser, &[file]).await;
    let chosen = chosen("export.csv");
    says(&browser, &format!("{chosen} .notice"), "2 times of the rows read here").await;
    shots(&browser, "formats").await;
    says(&browser, &format!("{chosen} .notice"), "No row can be stored").await;
    press(&browser, &chosen, "Read as day.month.year hour:minute").await;
    says(&browser, &format!("{chosen} td"), "2024-02-01T09:05:00Z").await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card("export.csv"))).await;
    assert_eq!(world.table().await["1"].1, "2024-02-01T09:05:00.000Z");
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stays_with_its_reason_until_it_is_removed_and_holds_up_nothing() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let sheet = world.write("sheet.xlsx", [b"PK\x03\x04".as_slice(), &[0; 500], b"xl/workbook.xml"].concat());
    let broken = world.write("broken.csv", "id,name,time_of_start\n1,Ada,2020-01-01\n2,\"Bob,2020-01-01\n");
    let good = world.write("good.csv", "id,name,time_of_start\n1,Ada,2020-01-01T00:00:00Z\n");
    choose(&browser, &[sheet, broken, good]).await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card("good.csv"))).await;
    says(&browser, "#hint", "2 files cannot be read as chosen").await;
    shots(&browser, "refused").await;
    for (name, words) in [("sheet.xlsx", ["Excel", "CSV"]), ("broken.csv", ["line 3: a quote", "Mend that line"])] {
        let error = text(&browser, &format!("{} .error", chosen(name))).await;
        assert!(words.iter().all(|word| error.contains(word)), "{name}: {error}");
        press(&browser, &chosen(name), "Remove").await;
        browser.until(&format!("!document.querySelector({})", json!(chosen(name)))).await;
    }
    only_refusals_are_severe(&browser, &[("/preview?", "422")]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_as_that_of_an_earlier_upload_is_said_before_it_is_sent_again() {
    let world = World::embedded();
    let server = world.serve().await;
    let (path, rows) = long_file(&world, "first.csv", 300_000, 1);
    let id = server.put("first.csv", &std::fs::read(&path).unwrap(), &[]).await;
    server.done(&id).await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let copy = world.path().join("copy.csv");
    std::fs::copy(&path, &copy).unwrap();
    choose(&browser, &[copy]).await;
    says(&browser, &format!("{} .notice", chosen("copy.csv")), "same content was sent on").await;
    says(&browser, &format!("{} .notice", chosen("copy.csv")), "as first.csv (done)").await;
    press(&browser, &chosen("copy.csv"), "See that upload").await;
    browser.find("#history article[aria-label='first.csv'] details[open]").await;
    send(&browser).await;
    says(&browser, &format!("{} .notice", card("copy.csv")), "Byte for byte the same as first.csv").await;
    assert_eq!(world.table().await.len(), rows);
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}
