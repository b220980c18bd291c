//! The whole way on embedded services: choose, look, change an option, send, watch, read what became of each row.

use serde_json::Value;

use super::*;
use crate::generator::{File, Spec, Table, generate};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_uploads_files_on_the_page_and_reads_what_became_of_them() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    shots(&browser, "empty").await;

    let (mut expected, first) = (Table::new(), generate(&Spec { rows: 5_000, bad: 0.02, ..Spec::default() }));
    choose(&browser, &[world.write("users.csv", &first.bytes)]).await;
    shots(&browser, "chosen").await;
    slow_line(&browser, Some(200_000)).await;
    send(&browser).await;
    browser.until("document.querySelector('#current progress').value > 0.2").await;
    says(&browser, &card("users.csv"), "/s · ").await;
    shots(&browser, "uploading").await;
    slow_line(&browser, None).await;
    shows(&browser, "users.csv", first.keep(&mut expected)).await;
    for seen in ["Uploading", "Done"] {
        assert!(states_seen(&browser).await.iter().any(|state| state.starts_with(seen)), "{seen}");
    }
    let reasons = text(&browser, &format!("{} table.reasons", card("users.csv"))).await;
    for reason in ["time_of_start", "the id is empty", "line "] {
        assert!(reasons.contains(reason), "{reason}: {reasons}");
    }
    rejects_are_shown_and_downloaded(&browser, &server, first.bad).await;
    shots(&browser, "done").await;

    several_dropped_at_once(&browser, &world, &mut expected).await;
    assert_eq!(world.table().await, expected);
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

async fn rejects_are_shown_and_downloaded(browser: &Chromium, server: &Server, bad: u64) {
    let card = card("users.csv");
    click(browser, &format!("{card} details summary")).await;
    browser.find(&format!("{card} details code")).await;
    for (words, exact) in [("Download rejected rows", false), ("exact bytes", true)] {
        let rejects = download(browser, server, &card, words).await;
        assert!(rejects.starts_with("_line,_field,_reason,id,name,time_of_start"), "{exact}: {rejects:.100}");
    }
    let receipt: Value = serde_json::from_str(&download(browser, server, &card, "Receipt").await).unwrap();
    assert_eq!(receipt["rejected"].as_u64(), Some(bad));
    assert!(download(browser, server, &card, "Original").await.starts_with("id,name,"));
}

/// Two files dropped together, one with a name that no card is wide enough for.
async fn several_dropped_at_once(browser: &Chromium, world: &World, expected: &mut Table) {
    let files = [
        generate(&Spec { seed: 2, shared: Some((1, 0.4)), ..Spec::default() }),
        generate(&Spec { seed: 3, ..Spec::default() }),
    ];
    let long = format!("{}.csv", "users-of-the-northern-region-".repeat(6));
    let paths = [world.write("second.csv", &files[0].bytes), world.write(&long, &files[1].bytes)];
    browser.drop_files(&paths, "#drop").await;
    for name in ["second.csv", &long] {
        looked_at(browser, name).await;
    }
    shots(browser, "several").await;
    send(browser).await;
    // Their ids are different ones, so the order in which they are loaded does not matter.
    for (name, file) in [("second.csv", &files[0]), (&long, &files[1])] {
        shows(browser, name, File::keep(file, expected)).await;
    }
}
