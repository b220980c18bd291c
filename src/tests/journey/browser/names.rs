//! Names and contents that are markup: they are only ever text.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_name_and_content_are_scripts_runs_nothing_anywhere() {
    let world = World::embedded();
    let server = world.serve().await;
    let browser = Chromium::start().await;
    open(&browser, &server.url).await;
    let name = "<img src=x onerror=document.title='run'>.csv";
    let script = "<script>document.title='run'</script><img src=x onerror=document.title='run'>";
    let file = format!(
        "id,name,time_of_start,{script}\n1,{script},2017-03-07,\n2,b,{script},{script}\n\"{script}\",c,2017-03-07\n"
    );
    choose(&browser, &[world.write(name, &file)]).await;
    says(&browser, &format!("{} td", chosen(name)), script).await;
    nothing_ran(&browser).await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card(name))).await;
    shots(&browser, "script").await;
    says(&browser, &format!("{} table.reasons", card(name)), "<script>").await;
    click(&browser, &format!("{} details summary", card(name))).await;
    says(&browser, &format!("{} details code", card(name)), script).await;
    let row = format!("#history article[aria-label={}]", json!(name));
    click(&browser, &format!("{row} summary")).await;
    says(&browser, &row, "Rejected rows by reason").await;
    // A failure tells of what stands in the file, and an upload may be named so by any program.
    let broken = format!("id,name,time_of_start\n1,\"{script},2017-03-07\n");
    let id = server.put("%3Cimg%20src=x%20onerror=alert(1)%3E", broken.as_bytes(), &[]).await;
    server.until_state(&id, "failed").await;
    browser.find("#history .state.failed").await;
    press(&browser, &card(name), "Change options and load again").await;
    browser.find(&format!("{} .again table", card(name))).await;
    nothing_ran(&browser).await;
    only_refusals_are_severe(&browser, &[]).await;
    browser.close().await;
}

async fn nothing_ran(browser: &Chromium) {
    assert_eq!(browser.page.title().await.unwrap(), "User Data Management", "no script of a file runs");
    assert_eq!(browser.value("document.images.length").await, 0);
    assert_eq!(browser.value("document.querySelectorAll('script').length").await, 1, "the page's own");
}
