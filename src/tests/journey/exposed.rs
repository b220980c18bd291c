//! The executable where others reach it: tokens by command, TLS with signals.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    process::DEADLINE,
    world::{Server, World, free_port},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_is_served_with_a_token_only_and_health_goes_on() {
    let mut world = World::embedded();
    let port = free_port();
    world.set("server", &format!("listen = \"0.0.0.0:{port}\"\nopen_to = [\"10.0.0.0/8\"]"));
    let refused = world.run(&["serve"]).await.expect(2).stderr();
    assert!(refused.contains(&format!("error: other machines reach server.listen = 0.0.0.0:{port}")), "{refused}");
    assert!(refused.contains("\nnext: make one with `userdata token add NAME --role admin`"), "{refused}");
    let made = world.run(&["token", "add", "boss", "--role", "admin"]).await.expect(0);
    let (token, said) = (made.stdout().trim().to_owned(), made.stderr());
    assert!(token.starts_with("ud_") && said.contains("it is the first"), "{token} {said}");
    let mut server = world.serve().await;
    assert_eq!(server.http.get(format!("{}/uploads", server.url)).send().await.unwrap().status(), 401);
    let health = world.run(&["health"]).await.expect(0).stdout();
    assert_eq!(health.trim(), "{\"status\":\"ready\"}");
    server = server.with_token(&token);
    let id = server.put("a.csv", b"id,name,time_of_start\n1,a,2017-03-07\n", &[]).await;
    assert_eq!(server.done(&id).await.inserted, 1);
    assert_eq!(server.upload(&id).await["sender"], "boss");
    assert!(server.role.terminate().await.success());
    // As containers are given one.
    world.set("server", "admin_token = \"a-token-for-containers\"");
    let server = world.serve().await.with_token("a-token-for-containers");
    assert_eq!(server.list().await["uploads"][0]["id"], id.as_str());
    let health: Value = serde_json::from_str(&world.run(&["health"]).await.expect(0).stdout()).unwrap();
    assert_eq!(health["store"]["ok"], true, "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_removed_while_the_server_runs() {
    let world = World::embedded();
    let server = world.serve().await;
    let list = async |token: &str| {
        let request = server.http.get(format!("{}/uploads", server.url)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let one = world.run(&["token", "add", "one", "--role", "read"]).await.expect(0).stdout().trim().to_owned();
    let two = world.run(&["token", "add", "two", "--role", "upload"]).await.expect(0).stdout().trim().to_owned();
    until("both are known", async || list(&one).await == 200 && list(&two).await == 200).await;
    until("others are refused", async || list("another").await >= 401).await;
    let again = world.run(&["token", "add", "one", "--role", "admin"]).await.expect(2).stderr();
    assert!(again.contains("error: there is a token \"one\" already"), "{again}");
    let listed = world.run(&["token", "list"]).await.expect(0).stdout();
    let file = world.path().join("data/tokens.toml");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(
        listed.contains("read    one") && listed.contains("upload  two") && listed.lines().count() == 2,
        "{listed}"
    );
    assert!(!kept.contains(&one) && !listed.contains(&one), "{kept}{listed}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    world.run(&["token", "remove", "one"]).await.expect(0);
    until("the one is refused", async || list(&one).await >= 401).await;
    assert_eq!(list(&two).await, 200);
    world.run(&["token", "remove", "one"]).await.expect(2);
    std::fs::write(&file, "no TOML at all").unwrap();
    until("it is told", async || {
        assert_eq!(list(&two).await, 200, "the last good ones stay");
        server.role.log().contains("the token file cannot be read")
    })
    .await;
    let mut server = server;
    assert!(server.role.terminate().await.success());
    let refused = world.run(&["serve"]).await.expect(2).stderr();
    assert!(refused.contains("tokens.toml: line 1 cannot be read"), "{refused}");
}

/// Waits for something that happens soon.
async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !happened().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("did not happen: {what}"));
}

/// A certificate for 127.0.0.1 and its key, as `NAME.pem` and `NAME.key`.
fn certificate(folder: &Path, name: &str) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=userdata", "-addext", "subjectAltName=IP:127.0.0.1", "-addext"]);
    openssl.arg("basicConstraints=critical,CA:FALSE").arg("-keyout").arg(key).arg("-out").arg(certificate);
    let made = openssl.output().expect("this test needs openssl");
    assert!(made.status.success(), "{made:?}");
}

async fn trusted(server: &Server, folder: &Path, name: &str) -> bool {
    let certificate = std::fs::read(folder.join(format!("{name}.pem"))).unwrap();
    let certificate = reqwest::Certificate::from_pem(&certificate).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([certificate]).build().unwrap();
    client.get(format!("{}/livez", server.url)).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_takes_up_a_new_certificate_and_tells_of_a_broken_one() {
    let mut world = World::embedded();
    let (folder, port) = (world.path().to_owned(), free_port());
    for name in ["one", "two"] {
        certificate(&folder, name);
    }
    let put = |certificate: &str, key: &str| {
        std::fs::copy(folder.join(format!("{certificate}.pem")), folder.join("used.pem")).unwrap();
        std::fs::copy(folder.join(format!("{key}.key")), folder.join("used.key")).unwrap();
    };
    world.set("server", &format!("listen = \"127.0.0.1:{port}\""));
    world.set("server.tls", "certificate = \"used.pem\"\nkey = \"used.key\"");
    put("one", "two");
    let refused = world.run(&["serve"]).await.expect(2).stderr();
    assert!(refused.contains("used.key does not fit") && refused.contains("\nnext: "), "{refused}");
    put("one", "one");
    let mut server = world.serve().await;
    assert!(server.url.starts_with("https://"), "{}", server.url);
    assert!(trusted(&server, &folder, "one").await);
    world.run(&["health"]).await.expect(0);
    put("two", "one");
    server.role.signal(Signal::HUP);
    let told = server.role.logged("cannot be used; the one before stays in use").await;
    assert!(told.contains("does not fit"), "{told}");
    assert!(trusted(&server, &folder, "one").await);
    let seen = server.role.lines();
    put("two", "two");
    server.role.signal(Signal::HUP);
    server.role.logged_after(seen, "the certificate was read again").await;
    until("the new one is shown", async || trusted(&server, &folder, "two").await).await;
    assert!(!trusted(&server, &folder, "one").await);
    world.run(&["health"]).await.expect(0);
    assert!(server.role.terminate().await.success());
}
