//! Signing in with a token, and what each role may do on the page.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_sees_only_her_own_uploads_and_signs_out() {
    let world = World::embedded();
    let made = async |name: &str, role: &str| {
        let made = world.run(&["token", "add", name, "--role", role]).await.expect(0);
        made.stdout().trim().to_owned()
    };
    let (boss, ada, guest) = (made("boss", "admin").await, made("ada", "upload").await, made("guest", "read").await);
    let server = world.serve().await.with_token(&boss);
    let others = server.put("of-the-boss.csv", b"id,name,time_of_start\n,x,2020-01-01\n9,Ada,2020-01-01\n", &[]).await;
    server.done(&others).await;
    let browser = Chromium::start().await;
    browser.page.goto(&server.url).await.unwrap();
    browser.find("#token").await.send_keys("a wrong one").await.unwrap();
    shots(&browser, "sign-in").await;
    press(&browser, "#sign-in", "Sign in").await;
    says(&browser, "#sign-in .error", "not one that this server knows").await;
    sign_in(&browser, &ada).await;
    says(&browser, "#who", "ada (upload)").await;
    says(&browser, "#history-note", "No uploads yet.").await;
    choose(&browser, &[world.write("of-ada.csv", "id,name,time_of_start\n1,Ada,2020-01-01\n")]).await;
    send(&browser).await;
    browser.find(&format!("{} .state.done", card("of-ada.csv"))).await;
    browser.until("document.querySelectorAll('#history article').length === 1").await;
    shots(&browser, "signed-in").await;
    press(&browser, "#session", "Sign out").await;

    sign_in(&browser, &guest).await;
    browser.until("document.querySelectorAll('#history article').length === 2").await;
    says(&browser, "#may-not-send", "not send any").await;
    assert_eq!(browser.value("document.querySelectorAll('#history a, #history .actions button').length").await, 0);
    assert_eq!(browser.value("document.getElementById('drop').checkVisibility()").await, false);
    only_refusals_are_severe(&browser, &[("/session", "401"), ("", "401")]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_during_an_upload_is_begun_again_and_the_upload_goes_on() {
    let world = World::embedded();
    let token = world.run(&["token", "add", "ada", "--role", "admin"]).await.expect(0).stdout().trim().to_owned();
    let server = world.serve().await.with_token(&token);
    let browser = Chromium::start().await;
    browser.page.goto(&server.url).await.unwrap();
    sign_in(&browser, &token).await;
    let (path, rows) = long_file(&world, "long.csv", 1_500_000, 1);
    choose(&browser, &[path]).await;
    slow_line(&browser, Some(300_000)).await;
    send(&browser).await;
    let bar = json!(format!("{} progress", card("long.csv")));
    browser.until(&format!("document.querySelector({bar})?.value > 0.1")).await;
    press(&browser, &card("long.csv"), "Pause").await;
    slow_line(&browser, None).await;
    browser.value("fetch('/session', {method: 'DELETE'})").await;
    press(&browser, &card("long.csv"), "Resume").await;
    says(&browser, "#sign-in-why", "Your session has ended").await;
    sign_in(&browser, &token).await;
    browser.find(&format!("{} .state.done", card("long.csv"))).await;
    stored(&server, "long.csv", rows).await;
    only_refusals_are_severe(&browser, &[("", "401")]).await;
    browser.close().await;
}

async fn sign_in(browser: &Chromium, token: &str) {
    browser.until("document.getElementById('token')?.checkVisibility()").await;
    let field = browser.find("#token").await;
    field.clear().await.unwrap();
    field.send_keys(token).await.unwrap();
    press(browser, "#sign-in", "Sign in").await;
    browser.until("document.getElementById('drop') && !document.getElementById('work').hidden && document.getElementById('sign-in').hidden").await;
}
