//! The main way on Kafka, FTP and MySQL: what an upload waits for, and then its end.

use super::*;
use crate::{
    generator::{Spec, Table, generate},
    world::Database,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_an_upload_waits_for_on_real_services_and_then_its_end() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let archive = world.way_to_archive();
    let (server, _worker) = (world.serve().await, world.worker("worker", &[]).await);
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (mut expected, file) = (Table::new(), generate(&Spec { rows: 20_000, ..Spec::default() }));
    choose(&browser, &[world.write("users.csv", &file.bytes)]).await;
    slow_line(&browser, Some(400_000)).await;
    send(&browser).await;
    let bar = json!(format!("{} progress", card("users.csv")));
    browser.until(&format!("document.querySelector({bar})?.value > 0.1")).await;
    press(&browser, &card("users.csv"), "Pause").await;
    says(&browser, &format!("{} .state", card("users.csv")), "Paused").await;
    press(&browser, &card("users.csv"), "Resume").await;
    slow_line(&browser, None).await;
    let waiting = text(&browser, &format!("{} .waiting", card("users.csv"))).await;
    assert!(waiting.contains("Waiting for the archive") && waiting.contains(&archive.address()), "{waiting}");
    says(&browser, &format!("{} .steps", card("users.csv")), ", announced ").await;
    shots(&browser, "waiting").await;
    the_focus_stays_while_the_card_changes(&browser).await;
    archive.open().await;
    shows(&browser, "users.csv", file.keep(&mut expected)).await;
    assert_eq!(world.table().await, expected);
    let rejects = download(&browser, &server, &card("users.csv"), "Download rejected rows").await;
    assert!(rejects.starts_with("_line,_field,_reason,"), "{rejects:.100}");
    let archived = world.archived();
    assert!(archived.iter().any(|(_, bytes)| *bytes == file.bytes), "the original is in the archive");
    // Sent again, all its ids are there; then it replaces them.
    press(&browser, &card("users.csv"), "Dismiss").await;
    choose(&browser, &[world.path().join("users.csv")]).await;
    says(&browser, &format!("{} .notice", chosen("users.csv")), "same content was sent on").await;
    send(&browser).await;
    says(&browser, &format!("{} .notice", card("users.csv")), "in the table already and stay as they were").await;
    press(&browser, &card("users.csv"), "Load again and replace").await;
    browser
        .until(&format!(
            "document.querySelectorAll({}).length === 2",
            json!(format!("{} .state.done", card("users.csv")))
        ))
        .await;
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

/// Each try changes what the card says of the next one; somebody who is about to press a button must not lose it.
async fn the_focus_stays_while_the_card_changes(browser: &Chromium) {
    let waiting = format!("document.querySelector({}).textContent", json!(format!("{} .waiting", card("users.csv"))));
    let cancel = format!(
        "[...document.querySelectorAll({})].find((one) => one.textContent === 'Cancel')",
        json!(format!("{} button", card("users.csv")))
    );
    browser.value(&format!("{cancel}.focus()")).await;
    let before = browser.value(&waiting).await;
    browser.until(&format!("{waiting} !== {before}")).await;
    assert_eq!(browser.value("document.activeElement.textContent").await, "Cancel");
}
