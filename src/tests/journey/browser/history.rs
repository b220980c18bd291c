//! All uploads on the page: found, filtered, paged through, opened again.

use fantoccini::key::Key;

use super::*;

const SMALL: &[u8] = b"id,name,time_of_start\n1,Ada,2020-01-01T00:00:00Z\n";

async fn rows(browser: &Chromium, count: usize) {
    browser.until(&format!("document.querySelectorAll('#history article').length === {count}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_found_in_the_history_and_those_that_failed_are_opened_again() {
    let world = World::embedded();
    let server = world.serve().await;
    for number in 0..27 {
        server.put(&format!("small-{number}.csv"), SMALL, &[]).await;
    }
    for name in ["bad-1.csv", "bad-2.csv"] {
        let id = server.put(name, b"id,name,time_of_start\n,Ada,2020-01-01\n", &[("max_rejects", "0")]).await;
        server.until_state(&id, "failed").await;
    }
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    rows(&browser, 25).await;
    click(&browser, "#more").await;
    rows(&browser, 29).await;
    browser.until("document.getElementById('more').hidden").await;

    // What comes meanwhile stands above, and nothing that was paged in goes.
    server.put("while-looking.csv", SMALL, &[]).await;
    browser.until("document.querySelector('#history h3').textContent === 'while-looking.csv'").await;
    rows(&browser, 30).await;
    browser.find("#history article:first-child .state.done").await;

    let search = browser.find("#filter [type=search]").await;
    search.send_keys("SMALL-26").await.unwrap();
    rows(&browser, 1).await;
    click(&browser, "#history summary").await;
    let found = text(&browser, "#history article").await;
    assert!(found.contains("small-26.csv") && found.contains("Done") && found.contains("What happened"), "{found}");
    search.send_keys(" not there").await.unwrap();
    says(&browser, "#history-note", "No upload fits this search.").await;
    search.clear().await.unwrap();
    // From the last state, cancelled, upwards.
    let state = browser.find("#filter select").await;
    state.send_keys(&format!("{}{}", char::from(Key::End), char::from(Key::Up))).await.unwrap();
    rows(&browser, 2).await;
    says(&browser, "#history .error, #history .state.failed", "Failed").await;
    shots(&browser, "history").await;
    press(&browser, "#work", "Retry all failed").await;
    says(&browser, "#heard", "2 uploads opened again").await;
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}
