//! TLS as clients meet it: both versions of HTTP, a certificate that changes, and somebody who typed http.

use std::{path::Path, process::Command};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use userdata::{
    config::Tls,
    source::{Source, http},
};

use crate::harness::{Server, Setup, USERS, eventually};

/// Makes a key and a certificate for 127.0.0.1, signed by itself.
fn make(folder: &Path, name: &str) -> Tls {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=userdata", "-addext", "subjectAltName=IP:127.0.0.1", "-addext"]);
    openssl.arg("basicConstraints=critical,CA:FALSE").arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let made = openssl.output().expect("this test needs openssl");
    assert!(made.status.success(), "{made:?}");
    Tls { certificate, key }
}

/// A client that trusts this certificate alone.
fn trusting(tls: &Tls) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(&tls.certificate).unwrap()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap()
}

async fn answers(server: &Server, client: &reqwest::Client) -> bool {
    // A client of its own each time: an open connection keeps its certificate.
    client.get(server.url("/livez")).header("connection", "close").send().await.is_ok()
}

#[tokio::test]
async fn uploads_travel_over_tls_by_both_versions_of_http_and_http_alone_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let tls = make(folder.path(), "one");
    let server = Server::with(Setup { tls: Some(tls.clone()), ..Setup::default() }).await;
    for (flag, said) in [("--http1.1", "1.1 201"), ("--http2", "2 201")] {
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["--silent", "--show-error", "--write-out", "\n%{http_version} %{http_code}", flag, "--upload-file"]);
        let file = folder.path().join("a.csv");
        std::fs::write(&file, USERS).unwrap();
        curl.arg(file).arg("--cacert").arg(&tls.certificate).arg(server.url("/uploads/a.csv"));
        let output = curl.output().await.expect("this test needs curl");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(out.lines().last(), Some(said), "{out}{err}");
    }
    let mut plain = tokio::net::TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    // A handshake that never goes on keeps nobody out.
    let mut halted = tokio::net::TcpStream::connect(server.address).await.unwrap();
    halted.write_all(&[22, 3, 1]).await.unwrap();
    assert!(answers(&server, &trusting(&tls)).await);
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_leaves_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (make(folder.path(), "one"), make(folder.path(), "two"));
    let used = Tls { certificate: folder.path().join("used.pem"), key: folder.path().join("used.key") };
    let put = |tls: &Tls| {
        std::fs::copy(&tls.certificate, &used.certificate).unwrap();
        std::fs::copy(&tls.key, &used.key).unwrap();
    };
    put(&one);
    let server = Server::with(Setup { tls: Some(used.clone()), ..Setup::default() }).await;
    assert!(answers(&server, &trusting(&one)).await);
    put(&two);
    eventually("the new one is shown", async || answers(&server, &trusting(&two)).await).await;
    assert!(!answers(&server, &trusting(&one)).await);
    // A key that does not fit, which a third pair then mends: the second serves until then.
    std::fs::copy(&one.key, &used.key).unwrap();
    assert!(answers(&server, &trusting(&two)).await);
    put(&one);
    eventually("the one that fits is shown", async || answers(&server, &trusting(&one)).await).await;
}

#[tokio::test]
async fn a_pair_that_cannot_be_used_is_refused_at_the_start_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (make(folder.path(), "one"), make(folder.path(), "two"));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let mixed = Tls { key: two.key.clone(), ..one.clone() };
    let missing = Tls { key: folder.path().join("none.key"), ..one.clone() };
    let nothing = Tls { certificate: empty, ..one.clone() };
    for (tls, part) in [(mixed, "does not fit"), (missing, "none.key"), (nothing, "empty.pem")] {
        let error = Server::try_with(Setup { tls: Some(tls), ..Setup::default() }).await.err().expect("refused");
        assert!(error.code == "configuration" && error.to_string().contains(part), "{error}");
    }
}

/// As workers on other machines do it, with `worker.tls_ca_file`.
#[tokio::test]
async fn content_is_fetched_over_tls_from_a_server_that_a_private_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let tls = make(folder.path(), "one");
    let server = Server::with(Setup { tls: Some(tls.clone()), ..Setup::default() }).await;
    let put = trusting(&tls).put(server.url("/uploads/a.csv")).body(USERS).send().await.unwrap();
    let id = put.json::<serde_json::Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let url = server.url(&format!("/uploads/{id}/content"));
    let source =
        |ca: Option<&Path>| http::HttpSource { client: http::client(ca).unwrap(), url: url.clone(), token: None };
    let mut text = String::new();
    source(Some(&tls.certificate)).open(3).await.unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, USERS[3..]);
    let error = source(None).size().await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    assert!(http::client(Some(&empty)).unwrap_err().to_string().contains("empty.pem"));
}
