//! Uploads over lines as they are: paused, cut, interrupted by a reload, begun with one file and offered another.

use super::*;
use crate::way::Way;

const MEGABYTES: usize = 1_500_000;
/// Bytes a second: slow enough to act meanwhile.
const SLOW: Option<i64> = Some(300_000);

async fn received(server: &Server, name: &str) -> Option<u64> {
    let list = server.list().await;
    let view = list["uploads"].as_array().unwrap().iter().find(|view| view["filename"] == name)?;
    view["progress"]["done"].as_u64()
}

async fn sends_for_a_while(browser: &Chromium, name: &str) {
    let bar = json!(format!("{} progress", card(name)));
    browser.until(&format!("document.querySelector({bar})?.value > 0.1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_paused_and_goes_on_where_it_was() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (path, rows) = long_file(&world, "long.csv", MEGABYTES, 1);
    slow_line(&browser, SLOW).await;
    choose(&browser, &[path]).await;
    send(&browser).await;
    sends_for_a_while(&browser, "long.csv").await;
    press(&browser, &card("long.csv"), "Pause").await;
    says(&browser, &format!("{} .state", card("long.csv")), "Paused").await;
    says(&browser, &card("long.csv"), "What has arrived is kept until").await;
    shots(&browser, "paused").await;
    let kept = received(&server, "long.csv").await.expect("it is still arriving");
    assert!(kept > 0, "what was sent before the pause is kept");
    press(&browser, &card("long.csv"), "Resume").await;
    slow_line(&browser, None).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cancelled_is_gone_from_the_server_too() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (path, _) = long_file(&world, "long.csv", MEGABYTES, 1);
    slow_line(&browser, SLOW).await;
    choose(&browser, &[path]).await;
    send(&browser).await;
    sends_for_a_while(&browser, "long.csv").await;
    press(&browser, &card("long.csv"), "Cancel").await;
    browser.until(&format!("!document.querySelector({})", json!(card("long.csv")))).await;
    let deadline = tokio::time::Instant::now() + crate::process::DEADLINE;
    while received(&server, "long.csv").await.is_some() {
        assert!(tokio::time::Instant::now() < deadline, "the server still has it");
    }
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

/// A long file that is being sent slowly, over a way that can be closed.
struct Sending {
    server: Server,
    way: Way,
    browser: Chromium,
    rows: usize,
}

async fn sending(world: &World) -> Sending {
    let server = world.serve().await;
    let way = Way::to(server.url.strip_prefix("http://").unwrap(), 1);
    way.open().await;
    let browser = Chromium::start().await;
    open(&browser, &format!("http://{}", way.address())).await;
    let (path, rows) = long_file(world, "long.csv", MEGABYTES, 1);
    slow_line(&browser, SLOW).await;
    choose(&browser, &[path]).await;
    send(&browser).await;
    sends_for_a_while(&browser, "long.csv").await;
    Sending { server, way, browser, rows }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_is_waited_for_and_the_upload_goes_on_by_itself() {
    let world = World::embedded();
    let Sending { server, way, browser, rows } = sending(&world).await;
    way.close().await;
    says(&browser, &format!("{} .waiting", card("long.csv")), "goes on by itself when the line is back").await;
    shots(&browser, "cut").await;
    let kept = received(&server, "long.csv").await.expect("it is still arriving");
    way.open().await;
    slow_line(&browser, None).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    assert!(kept > 0, "what had arrived was kept");
    only_refusals_are_severe(&browser, &[("", "ERR_")]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_cancelled_stays_until_it_can() {
    let world = World::embedded();
    let Sending { server, way, browser, .. } = sending(&world).await;
    way.close().await;
    says(&browser, &format!("{} .state", card("long.csv")), "No connection").await;
    press(&browser, &card("long.csv"), "Cancel").await;
    says(&browser, &format!("{} .error", card("long.csv")), "It is not cancelled").await;
    assert_eq!(text(&browser, &format!("{} .state", card("long.csv"))).await, "Paused");
    assert!(received(&server, "long.csv").await.is_some());
    way.open().await;
    press(&browser, &card("long.csv"), "Cancel").await;
    browser.until(&format!("!document.querySelector({})", json!(card("long.csv")))).await;
    assert_eq!(received(&server, "long.csv").await, None);
    only_refusals_are_severe(&browser, &[("", "ERR_")]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_of_somebody_between_end_no_upload() {
    let world = World::embedded();
    let Sending { server, way, browser, rows } = sending(&world).await;
    way.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n").await;
    says(&browser, &format!("{} .waiting", card("long.csv")), "The server answered with status 404").await;
    way.close().await;
    way.open().await;
    slow_line(&browser, None).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    assert_eq!(server.list().await["uploads"].as_array().unwrap().len(), 1, "it is one upload");
    only_refusals_are_severe(&browser, &[("", "ERR_"), ("", "404")]).await;
    browser.close().await;
}

/// Begins an upload and leaves the page.
async fn begin_and_reload(browser: &Chromium, server: &Server, path: &std::path::Path) -> u64 {
    slow_line(browser, SLOW).await;
    choose(browser, &[path.to_owned()]).await;
    send(browser).await;
    sends_for_a_while(browser, "long.csv").await;
    browser.page.refresh().await.unwrap();
    let deadline = tokio::time::Instant::now() + crate::process::DEADLINE;
    loop {
        match received(server, "long.csv").await {
            Some(kept @ 1..) => return kept,
            _ => assert!(tokio::time::Instant::now() < deadline, "nothing of it was kept"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reload_the_same_file_goes_on_and_another_is_known_as_another() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (path, rows) = long_file(&world, "long.csv", MEGABYTES, 1);
    begin_and_reload(&browser, &server, &path).await;
    says(&browser, &card("long.csv"), "Session restored. Choose the same file again to continue at").await;
    shots(&browser, "restored").await;

    // As long, and with the same beginning.
    let original = std::fs::read(&path).unwrap();
    let mut other = original.clone();
    *other.last_mut().unwrap() = b'X';
    world.write("long.csv", &other);
    let again = browser.find(&format!("{} input[type=file]", card("long.csv"))).await;
    again.send_keys(&path.display().to_string()).await.unwrap();
    says(&browser, &format!("{} .error", card("long.csv")), "This is not the same file: its content differs").await;
    shots(&browser, "another").await;

    world.write("long.csv", &original);
    slow_line(&browser, None).await;
    let again = browser.find(&format!("{} input[type=file]", card("long.csv"))).await;
    again.send_keys(&path.display().to_string()).await.unwrap();
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    assert_eq!(server.list().await["uploads"].as_array().unwrap().len(), 1, "it is one upload");
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_begun_before_is_recognised_among_those_that_are_chosen() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (path, rows) = long_file(&world, "long.csv", MEGABYTES, 1);
    begin_and_reload(&browser, &server, &path).await;
    slow_line(&browser, None).await;
    choose(&browser, &[path]).await;
    says(&browser, &format!("{} .notice", chosen("long.csv")), "was begun before: it continues where it was").await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    let uploads = server.list().await["uploads"].as_array().unwrap().len();
    assert_eq!(uploads, 1, "it is one upload");
    browser.until(&format!("document.querySelectorAll({}).length === 1", json!(card("long.csv")))).await;
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_is_waited_for_and_the_upload_goes_on_by_itself() {
    let mut world = World::embedded();
    let mut server = world.serve().await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    world.set("server", &format!("listen = \"{address}\""));
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (path, rows) = long_file(&world, "long.csv", MEGABYTES, 1);
    slow_line(&browser, SLOW).await;
    choose(&browser, &[path]).await;
    send(&browser).await;
    sends_for_a_while(&browser, "long.csv").await;
    server.role.kill().await;
    says(&browser, &format!("{} .state", card("long.csv")), "No connection").await;
    let server = world.serve().await;
    slow_line(&browser, None).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    assert_eq!(server.list().await["uploads"].as_array().unwrap().len(), 1, "it is one upload");
    only_refusals_are_severe(&browser, &[("", "ERR_")]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tab_does_not_take_an_upload_for_interrupted_that_this_one_sends() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let (path, rows) = long_file(&world, "long.csv", MEGABYTES, 1);
    slow_line(&browser, SLOW).await;
    choose(&browser, std::slice::from_ref(&path)).await;
    send(&browser).await;
    sends_for_a_while(&browser, "long.csv").await;
    let (first, second) = (browser.page.window().await.unwrap(), browser.page.new_window(true).await.unwrap().handle);
    browser.page.switch_to_window(second).await.unwrap();
    open(&browser, &server.url).await;
    browser.find("#history article[aria-label='long.csv']").await;
    choose(&browser, &[path]).await;
    says(&browser, &format!("{} .notice", chosen("long.csv")), "This file is being sent already.").await;
    assert_eq!(browser.value("document.querySelectorAll('#current article').length").await, 0);
    browser.page.switch_to_window(first).await.unwrap();
    slow_line(&browser, None).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}
