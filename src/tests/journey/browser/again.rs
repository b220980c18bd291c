//! After the result: rows that were left as they were are replaced, options are changed, and nothing is sent again.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_loaded_again_to_replace_rows_and_with_another_zone() {
    let world = World::embedded();
    let server = world.serve().await;
    let before = server.put("before.csv", b"id,name,time_of_start\n1,Old,2017-03-07 12:00\n", &[]).await;
    server.done(&before).await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let file = world.write("users.csv", "id,name,time_of_start\n1,New,2017-03-07 12:00\n2,Bob,2017-03-07 12:00\n");
    choose(&browser, &[file]).await;
    send(&browser).await;
    let card = card("users.csv");
    says(&browser, &format!("{card} .notice"), "1 id was in the table already and stays as it was").await;
    assert_eq!(world.table().await["1"].0, "old");
    shots(&browser, "left").await;
    press(&browser, &card, "Load again and replace").await;
    browser.until(&format!("document.querySelectorAll({}).length === 2", json!(format!("{card} .state.done")))).await;
    assert_eq!(world.table().await["1"].0, "new");

    press(&browser, &card, "Change options and load again").await;
    let zone = browser.find(&format!("{card} .again [name=zone]")).await;
    zone.clear().await.unwrap();
    zone.send_keys("Europe/Berlin").await.unwrap();
    says(&browser, &format!("{card} .again td"), "2017-03-07T11:00:00Z").await;
    browser.find(&format!("{card} .again [name=existing]")).await.select_by_value("replace").await.unwrap();
    shots(&browser, "again").await;
    press(&browser, &format!("{card} .again"), "Load again").await;
    browser.until(&format!("document.querySelectorAll({}).length === 3", json!(format!("{card} .state.done")))).await;
    assert_eq!(world.table().await["2"].1, "2017-03-07T11:00:00.000Z");
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_is_safe_stays_until_dismissed_and_is_put_right_by_other_options() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let file = world.write("users.csv", "id,name,time_of_start\n1,Ada,07.03.2017 12:00\n2,Bob,07.03.2017 12:00\n");
    choose(&browser, &[file]).await;
    let limit = browser.find(&format!("{} [name=max_rejects]", chosen("users.csv"))).await;
    click(&browser, &format!("{} summary", chosen("users.csv"))).await;
    limit.clear().await.unwrap();
    limit.send_keys("0").await.unwrap();
    send(&browser).await;
    let card = card("users.csv");
    browser.find(&format!("{card} .state.failed")).await;
    says(&browser, &format!("{card} .error"), "No row of it was stored; the table is as it was.").await;
    shots(&browser, "failed").await;
    browser.page.refresh().await.unwrap();
    says(&browser, &format!("{card} .error"), "No row of it was stored; the table is as it was.").await;
    assert!(world.table().await.is_empty());
    press(&browser, &card, "Change options and load again").await;
    browser.find(&format!("{card} .again [name=formats]")).await.send_keys("\n%d.%m.%Y %H:%M").await.unwrap();
    says(&browser, &format!("{card} .again td"), "2017-03-07T12:00:00Z").await;
    press(&browser, &format!("{card} .again"), "Load again").await;
    browser.find(&format!("{card} .state.done")).await;
    assert_eq!(world.table().await.len(), 2);
    browser.find(&format!("{card} .error")).await;
    let failed = "#current article:has(.state.failed)";
    press(&browser, failed, "Dismiss").await;
    browser.until(&format!("!document.querySelector({})", json!(failed))).await;
    browser.page.refresh().await.unwrap();
    browser.find("#history .state.failed").await;
    assert_eq!(browser.value("document.querySelectorAll('#current article').length").await, 0);
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}
