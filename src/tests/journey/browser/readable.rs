//! For everybody: with the keyboard alone, for screen readers, and in colours that can be told from their background.

use fantoccini::key::Key;

use super::*;

/// Text whose contrast to its background is less than WCAG 2.1 asks for (4.5, or 3 for large text). What is disabled is
/// exempt.
const PALE: &str = "(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')]
    .filter((node) => node.checkVisibility() && !node.disabled && !node.closest('option, .unseen, .heard'))
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
    .map((node) => {
      const style = getComputedStyle(node);
      const [one, other] = [light(parse(style.color)), light(ground(node))].sort((a, b) => b - a);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 700);
      return [(one + 0.05) / (other + 0.05), large ? 3 : 4.5, node.outerHTML.slice(0, 100)];
    })
    .filter(([ratio, needed]) => ratio < needed);
})()";

/// Controls that a screen reader could not name.
const NAMELESS: &str = "[...document.querySelectorAll('button, input, select, textarea, a, progress, summary')]
  .filter((node) => !(node.labels?.length || node.ariaLabel || node.textContent.trim()))
  .map((node) => node.outerHTML.slice(0, 100))";

const SAME_IDS: &str = "(() => { const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at); })()";

async fn is_readable(browser: &Chromium, what: &str) {
    for scheme in ["light", "dark"] {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        assert_eq!(browser.value(PALE).await, json!([]), "too pale: {what}, {scheme}");
    }
    assert_eq!(browser.value(NAMELESS).await, json!([]), "without a name: {what}");
    assert_eq!(browser.value(SAME_IDS).await, json!([]), "twice: {what}");
}

/// Presses Tab until what a selector finds has the focus.
async fn tab_to(browser: &Chromium, css: &str) {
    let focused = format!("document.activeElement?.matches({})", json!(css));
    for _ in 0..60 {
        for event in ["keyDown", "keyUp"] {
            let tab = json!({ "type": event, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            browser.devtools("Input.dispatchKeyEvent", tab).await;
        }
        if browser.value(&focused).await == json!(true) {
            return;
        }
    }
    panic!("Tab never leads to {css}");
}

async fn type_keys(browser: &Chromium, keys: &str) {
    browser.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_done_with_the_keyboard_and_read_in_light_and_dark() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    is_readable(&browser, "the empty page").await;
    let good = world.write("good.csv", "id,name,time_of_start\n1,Ada,2020-01-01 10:00\n,Bob,2020-01-01\n3,Cy,never\n");
    let other = world.write("other.csv", "number,full name\n1,Ada\n");
    choose(&browser, &[good, other]).await;
    is_readable(&browser, "chosen files").await;
    browser.value("document.getElementById('files').focus()").await;
    tab_to(&browser, "article[aria-label='good.csv'] summary").await;
    type_keys(&browser, " ").await;
    tab_to(&browser, "article[aria-label='good.csv'] [name=zone]").await;
    type_keys(&browser, &format!("{}Europe/Paris", "\u{8}".repeat(3))).await;
    says(&browser, &format!("{} td", chosen("good.csv")), "2020-01-01T09:00:00Z").await;
    tab_to(&browser, "#send").await;
    type_keys(&browser, &char::from(Key::Enter).to_string()).await;
    browser.find(&format!("{} .state.done", card("good.csv"))).await;
    says(&browser, "#heard", "good.csv: Done, 2 rows rejected").await;
    tab_to(&browser, "#current summary").await;
    type_keys(&browser, " ").await;
    browser.find("#current code").await;
    tab_to(&browser, "#history summary").await;
    type_keys(&browser, " ").await;
    browser.find("#history dl").await;
    is_readable(&browser, "results").await;
    assert_eq!(world.table().await["1"].1, "2020-01-01T09:00:00.000Z");
    only_refusals_are_severe(&browser, &[("/preview?", "422"), ("/preview?", "400")]).await;
    browser.close().await;
}
