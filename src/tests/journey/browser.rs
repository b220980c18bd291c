//! The page in a real Chromium, as a person meets it: one room for each thing that is done there.

use std::path::PathBuf;

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    generator::Counts,
    world::{Server, World},
};

mod again;
mod chosen;
mod history;
mod interrupted;
mod names;
mod readable;
mod services;
mod session;
mod way;

const WIDTHS: [u32; 3] = [360, 390, 1280];

/// Opens the page; from then on what the cards say is noted as it changes: a look from time to time would miss short
/// states.
async fn open(browser: &Chromium, url: &str) {
    browser.page.goto(url).await.unwrap();
    assert_eq!(browser.page.title().await.unwrap(), "User Data Management");
    browser.until("document.querySelector('#work') && !document.getElementById('history-note').hidden").await;
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

/// Chooses files and waits until the server has looked at their beginnings.
async fn choose(browser: &Chromium, files: &[PathBuf]) {
    let paths: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    browser.find("#files").await.send_keys(&paths.join("\n")).await.unwrap();
    for file in files {
        looked_at(browser, file.file_name().unwrap().to_str().unwrap()).await;
    }
}

/// Waits until a chosen file shows what was found in it, or why it cannot be read.
async fn looked_at(browser: &Chromium, name: &str) {
    let found = json!(format!("{} .found", chosen(name)));
    browser.until(&format!("/^(Found|It cannot)/.test(document.querySelector({found})?.textContent)")).await;
}

async fn send(browser: &Chromium) {
    browser.find("#send").await.click().await.unwrap();
}

/// Presses a button by its words, inside of what a selector finds.
async fn press(browser: &Chromium, within: &str, words: &str) {
    let find = format!(
        "[...document.querySelectorAll({})].find((one) => one.textContent.trim() === {} && !one.hasAttribute('aria-disabled'))",
        json!(format!("{within} button")),
        json!(words)
    );
    browser.until(&find).await;
    browser.value(&format!("({find}).click()")).await;
}

/// A file among the chosen ones.
fn chosen(name: &str) -> String {
    format!("#chosen article[aria-label={}]", json!(name))
}

/// The card of a file among the current uploads.
fn card(name: &str) -> String {
    format!("#current article[aria-label={}]", json!(name))
}

async fn text(browser: &Chromium, css: &str) -> String {
    browser.find(css).await.text().await.unwrap()
}

/// Waits until the text of what a selector finds contains some words.
async fn says(browser: &Chromium, css: &str, words: &str) {
    let seen = format!(
        "[...document.querySelectorAll({})].some((one) => one.textContent.includes({}))",
        json!(css),
        json!(words)
    );
    browser.until(&seen).await;
}

/// Waits for a file to be done, and compares what its card says.
async fn shows(browser: &Chromium, name: &str, counts: Counts) {
    let card = card(name);
    browser.find(&format!("{card} .state.done")).await;
    assert_eq!(text(browser, &format!("{card} h3")).await, name);
    let numbers =
        format!("[...document.querySelectorAll({})].map((one) => one.textContent)", json!(format!("{card} dd")));
    let shown: Vec<String> = serde_json::from_value(browser.value(&numbers).await).unwrap();
    let shown: Vec<u64> = shown.iter().map(|text| text.replace(',', "").parse().unwrap()).collect();
    let wanted = [counts.read, counts.inserted, counts.replaced, counts.duplicates, counts.rejected];
    assert_eq!(shown, wanted, "{name}");
}

/// What is behind a link.
async fn download(browser: &Chromium, server: &Server, within: &str, words: &str) -> String {
    let find = format!(
        "[...document.querySelectorAll({})].find((a) => a.textContent === {})?.href",
        json!(format!("{within} a")),
        json!(words)
    );
    browser.until(&find).await;
    let href = browser.value(&find).await;
    let answer = server.http.get(href.as_str().unwrap()).send().await.unwrap();
    assert!(answer.status().is_success(), "{words}: {}", answer.status());
    answer.text().await.unwrap()
}

/// Nothing is wrong on the page: the browser itself notes each refused request, and those alone may be there.
async fn only_refusals_are_severe(browser: &Chromium, refused: &[(&str, &str)]) {
    let severe = browser.severe().await;
    let expected = |entry: &&String| refused.iter().any(|(path, what)| entry.contains(path) && entry.contains(what));
    let other: Vec<_> = severe.iter().filter(|entry| !expected(entry)).collect();
    assert!(other.is_empty(), "{other:?}");
}

/// What the page shows on a phone and on a desk, in light and in dark: none of it is wider than the screen.
async fn shots(browser: &Chromium, name: &str) {
    for width in WIDTHS {
        for dark in [false, true] {
            browser.shot(name, width, dark).await;
        }
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
}

/// A file of so many bytes at least, all rows good.
fn long_file(world: &World, name: &str, bytes: usize, first_id: usize) -> (PathBuf, usize) {
    let mut text = String::from("id,name,time_of_start\n");
    let mut rows = 0;
    while text.len() < bytes {
        text.push_str(&format!("{},Some User of This File,2017-03-07T12:30:54Z\n", first_id + rows));
        rows += 1;
    }
    (world.write(name, text), rows)
}

/// Waits until all rows of a file are in the table, whatever the page says.
async fn stored(server: &Server, name: &str, rows: usize) {
    let list: Value = server.list().await;
    let view = list["uploads"].as_array().unwrap().iter().find(|view| view["filename"] == name);
    let id = view.unwrap_or_else(|| panic!("no upload {name}: {list:#}"))["id"].as_str().unwrap().to_owned();
    assert_eq!(server.done(&id).await.inserted, rows as u64);
}

/// Clicks on what a selector finds, also where something lies above it.
async fn click(browser: &Chromium, css: &str) {
    browser.found(Locator::Css(css)).await.click().await.unwrap();
}
