//! The page in a real Chromium: a person chooses files, sees them arrive, be archived and loaded, and reads what became
//! of each row.

use std::path::PathBuf;

use fantoccini::{Locator, key::Key};
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    generator::{Counts, File, Spec, Table, generate},
    world::{Database, Server, World},
};

const WIDTHS: [u32; 2] = [390, 1280];

#[tokio::test(flavor = "multi_thread")]
async fn a_person_uploads_files_on_the_page_and_reads_what_became_of_them() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server).await;
    shots(&browser, "empty").await;

    // A file is chosen, on a slow line.
    let (mut expected, first) = (Table::new(), generate(&Spec { rows: 5_000, bad: 0.02, ..Spec::default() }));
    slow_line(&browser, Some(200_000)).await;
    choose(&browser, &[world.write("users.csv", &first.bytes)]).await;
    browser.find("#send").await.click().await.unwrap();
    browser.until("document.querySelector('#current progress').value > 0.2").await;
    shots(&browser, "uploading").await;
    slow_line(&browser, None).await;
    shows(&browser, "users.csv", first.keep(&mut expected)).await;
    for seen in ["Uploading", "Done"] {
        assert!(states_seen(&browser).await.iter().any(|state| state.starts_with(seen)), "{seen}");
    }
    shots(&browser, "done").await;
    let card = card("users.csv");
    let reasons = browser.find(&format!("{card} table")).await.text().await.unwrap();
    for reason in ["time_of_start", "the id is empty", "line "] {
        assert!(reasons.contains(reason), "{reason}: {reasons}");
    }
    let rejects = download(&browser, &server, &card, "Download rejected rows").await;
    assert!(rejects.starts_with("_line,_field,_reason,id,name,time_of_start"), "{rejects:.100}");
    let receipt: Value = serde_json::from_str(&download(&browser, &server, &card, "Receipt").await).unwrap();
    assert_eq!(receipt["rejected"].as_u64(), Some(first.bad));

    several_at_once(&browser, &world, &mut expected).await;
    assert_eq!(world.table().await, expected);
    refusals_stay_until_dismissed(&browser, &world).await;
    history(&browser).await;
    shots(&browser, "history").await;
    only_refusals_are_severe(&browser).await;
    let by_put = server.put("by-curl.csv", &generate(&Spec { seed: 4, ..Spec::default() }).bytes, &[]).await;
    server.done(&by_put).await;
    let status = world.run(&["status"]).await.expect(0).stdout();
    assert!(["users.csv", "small.csv", "by-curl.csv"].iter().all(|name| status.contains(name)), "{status}");
    browser.close().await;
}

/// Two files dropped together, one of them with a name that is markup.
async fn several_at_once(browser: &Chromium, world: &World, expected: &mut Table) {
    let name = "<img src=x onerror=document.title='run'>.csv";
    let files = [
        generate(&Spec { seed: 2, shared: Some((1, 0.4)), ..Spec::default() }),
        generate(&Spec { seed: 3, ..Spec::default() }),
    ];
    let long = format!("{}.csv", "users-of-the-northern-region-".repeat(6));
    let paths = [world.write(name, &files[0].bytes), world.write(&long, &files[1].bytes)];
    browser.drop_files(&paths, "#drop").await;
    browser.find("#chosen li:nth-child(2)").await;
    shots(browser, "chosen").await;
    browser.find("#send").await.click().await.unwrap();
    // Their ids are different ones, so the order in which they are loaded does not matter.
    for (name, file) in [(name, &files[0]), (&long, &files[1])] {
        shows(browser, name, File::keep(file, expected)).await;
    }
    assert_eq!(browser.page.title().await.unwrap(), "User Data Management", "no script of a name runs");
    assert_eq!(browser.value("document.images.length").await, 0);
}

async fn refusals_stay_until_dismissed(browser: &Chromium, world: &World) {
    let sheet = world.write("sheet.xlsx", [b"PK\x03\x04".as_slice(), &[0; 500], b"xl/workbook.xml"].concat());
    let other = world.write("other.csv", "number,full name\n1,Ada\n");
    choose(browser, &[sheet, other]).await;
    browser.find("#send").await.click().await.unwrap();
    for (name, words) in [("sheet.xlsx", ["Excel", "CSV"]), ("other.csv", ["no column \"id\"", "full name"])] {
        let error = browser.find(&format!("{} .error", card(name))).await.text().await.unwrap();
        assert!(words.iter().all(|word| error.contains(word)), "{name}: {error}");
        let state = browser.find(&format!("{} .state", card(name))).await.text().await.unwrap();
        assert_eq!(state, "Not accepted");
    }
    let small = world.write("small.csv", "id,name,time_of_start\n1,Ada,2020-01-01T00:00:00Z\n");
    choose(browser, &[small]).await;
    browser.find("#send").await.click().await.unwrap();
    browser.find(&format!("{} .state.done", card("small.csv"))).await;
    shots(browser, "refused").await;
    for name in ["sheet.xlsx", "other.csv"] {
        browser.find(&format!("{} .error", card(name))).await;
        let dismiss = format!("//article[@aria-label='{name}']//button[.='Dismiss']");
        browser.found(Locator::XPath(&dismiss)).await.click().await.unwrap();
        browser.until(&format!("!document.querySelector({})", json!(card(name)))).await;
    }
}

async fn history(browser: &Chromium) {
    let filter = browser.find("#filter select").await;
    // From the last state, cancelled, upwards.
    filter.send_keys(&format!("{}{}", char::from(Key::End), char::from(Key::Up))).await.unwrap();
    assert_eq!(browser.value("document.querySelector('#filter select').value").await, "failed");
    browser.until("document.querySelectorAll('#history article').length === 0").await;
    browser.until("document.querySelector('#history-note').textContent.includes('No upload fits')").await;
    filter.send_keys(&char::from(Key::Up).to_string()).await.unwrap();
    browser.until("document.querySelectorAll('#history article').length === 4").await;
    browser.find("#filter [type=search]").await.send_keys("SMALL").await.unwrap();
    browser.until("document.querySelectorAll('#history article').length === 1").await;
    browser.find("#history summary").await.click().await.unwrap();
    let text = browser.find("#history article").await.text().await.unwrap();
    assert!(text.contains("small.csv") && text.contains("Done"), "{text}");
    browser.find("#filter [type=search]").await.clear().await.unwrap();
    browser.until("document.querySelectorAll('#history article').length === 4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_an_upload_waits_for_on_real_services_and_then_its_end() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let archive = world.way_to_archive();
    let (server, _worker) = (world.serve().await, world.worker("worker", &[]).await);
    let browser = Chromium::start().await;
    open(&browser, &server).await;
    let (mut expected, file) = (Table::new(), generate(&Spec::default()));
    choose(&browser, &[world.write("users.csv", &file.bytes)]).await;
    browser.find("#send").await.click().await.unwrap();
    let waiting = browser.find(&format!("{} .waiting", card("users.csv"))).await.text().await.unwrap();
    assert!(waiting.contains("Waiting for the archive") && waiting.contains(&archive.address()), "{waiting}");
    shots(&browser, "waiting").await;
    archive.open().await;
    shows(&browser, "users.csv", file.keep(&mut expected)).await;
    assert_eq!(world.table().await, expected);
    let rejects = download(&browser, &server, &card("users.csv"), "Download rejected rows").await;
    assert!(rejects.starts_with("_line,_field,_reason,"), "{rejects:.100}");
    only_refusals_are_severe(&browser).await;
    browser.close().await;
}

async fn open(browser: &Chromium, server: &Server) {
    browser.page.goto(&server.url).await.unwrap();
    assert_eq!(browser.page.title().await.unwrap(), "User Data Management");
    assert_eq!(browser.find("h2").await.text().await.unwrap(), "Upload Data");
    // What the cards say is noted as it changes: a look from time to time would miss short states.
    let watch = "window.seen = new Set(); new MutationObserver(() => document.querySelectorAll('#current .state')\
                 .forEach((state) => seen.add(state.textContent)))\
                 .observe(document.getElementById('current'), {subtree: true, childList: true, characterData: true})";
    browser.page.execute(watch, vec![]).await.unwrap();
}

async fn states_seen(browser: &Chromium) -> Vec<String> {
    serde_json::from_value(browser.value("[...window.seen]").await).unwrap()
}

/// Bytes a second that the browser sends; `None`: as fast as it goes.
async fn slow_line(browser: &Chromium, bytes_per_s: Option<i64>) {
    browser.devtools("Network.enable", json!({})).await;
    let line = json!({
        "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s.unwrap_or(-1),
    });
    browser.devtools("Network.emulateNetworkConditions", line).await;
}

async fn choose(browser: &Chromium, files: &[PathBuf]) {
    let paths: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    browser.find("#files").await.send_keys(&paths.join("\n")).await.unwrap();
}

/// The card of a file among the current uploads.
fn card(name: &str) -> String {
    format!("#current article[aria-label={}]", json!(name))
}

/// Waits for a file to be done, and compares what its card says.
async fn shows(browser: &Chromium, name: &str, counts: Counts) {
    let card = card(name);
    browser.find(&format!("{card} .state.done")).await;
    assert_eq!(browser.find(&format!("{card} h3")).await.text().await.unwrap(), name);
    let numbers =
        format!("[...document.querySelectorAll({})].map((one) => one.textContent)", json!(format!("{card} dd")));
    let shown: Vec<String> = serde_json::from_value(browser.value(&numbers).await).unwrap();
    let shown: Vec<u64> = shown.iter().map(|text| text.replace(',', "").parse().unwrap()).collect();
    let wanted = [counts.read, counts.inserted, counts.replaced, counts.duplicates, counts.rejected];
    assert_eq!(shown, wanted, "{name}");
}

/// What is behind a link.
async fn download(browser: &Chromium, server: &Server, card: &str, words: &str) -> String {
    let find = format!(
        "[...document.querySelectorAll({})].find((a) => a.textContent === {})?.href",
        json!(format!("{card} a")),
        json!(words)
    );
    browser.until(&find).await;
    let href = browser.value(&find).await;
    let answer = server.http.get(href.as_str().unwrap()).send().await.unwrap();
    assert!(answer.status().is_success(), "{words}: {}", answer.status());
    answer.text().await.unwrap()
}

/// The browser itself notes each refused request; nothing else may be wrong.
async fn only_refusals_are_severe(browser: &Chromium) {
    let severe = browser.severe().await;
    let other: Vec<_> = severe.iter().filter(|entry| !(entry.contains("/preview?") && entry.contains("422"))).collect();
    assert!(other.is_empty(), "{other:?}");
}

async fn shots(browser: &Chromium, name: &str) {
    for width in WIDTHS {
        for dark in [false, true] {
            browser.shot(name, width, dark).await;
        }
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
}
