//! Signing in on the page.

use reqwest::Response;
use serde_json::{Value, json};
use userdata::config::TokenFile;

use crate::{
    access::{everybody, secret, token},
    harness::{Server, Setup, USERS, eventually},
};

async fn sign_in(server: &Server, token: &str) -> Response {
    server.client.post(server.url("/session")).json(&json!({ "token": token })).send().await.unwrap()
}

/// The cookie as a browser sends it back.
fn cookie(response: &Response) -> String {
    response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn show(server: &Server, cookie: &str) -> Value {
    let request = server.client.get(server.url("/session")).header("cookie", cookie);
    request.send().await.unwrap().json().await.unwrap()
}

async fn with_everybody() -> Server {
    Server::with(Setup { tokens: everybody(), ..Setup::default() }).await
}

#[tokio::test]
async fn a_session_stands_for_its_token_until_one_signs_out() {
    let server = with_everybody().await;
    let nobody = json!({"name": null, "role": null, "signed_in": false, "tokens_needed": true});
    assert_eq!(show(&server, "").await, nobody);
    let signed_in = sign_in(&server, &secret("anna")).await;
    assert_eq!(signed_in.status(), 204);
    let whole = signed_in.headers()["set-cookie"].to_str().unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200", "; Secure"] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    assert!(!whole.contains(&secret("anna")));
    let cookie = cookie(&signed_in);
    let anna = json!({"name": "anna", "role": "upload", "signed_in": true, "tokens_needed": true});
    assert_eq!(show(&server, &cookie).await, anna);
    let put = || server.client.put(server.url("/uploads/a.csv")).header("cookie", &cookie).body(USERS);
    let view: Value = put().send().await.unwrap().json().await.unwrap();
    assert_eq!(view["sender"], "anna");
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("origin", "https://evil.example", 403),
        ("sec-fetch-site", "same-origin", 201),
    ] {
        assert_eq!(put().header(name, value).send().await.unwrap().status(), status, "{name}: {value}");
    }
    let out = server.client.delete(server.url("/session")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(
        (out.status().as_u16(), out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0")),
        (204, true)
    );
    assert_eq!(show(&server, &cookie).await, nobody);
    assert_eq!(put().send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let server = with_everybody().await;
    let file = TokenFile { path: server.data().join("tokens.toml") };
    file.add(token("eve", userdata::config::Role::Read)).unwrap();
    let mut signed_in = None;
    eventually("the new token signs in", async || {
        let response = sign_in(&server, &secret("eve")).await;
        let ok = response.status() == 204;
        signed_in = Some(response);
        ok
    })
    .await;
    let cookie = cookie(&signed_in.unwrap());
    assert_eq!(show(&server, &cookie).await["name"], "eve");
    file.remove("eve").unwrap();
    eventually("it stands for nobody", async || show(&server, &cookie).await["signed_in"] == false).await;
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_says_why() {
    let server = with_everybody().await;
    for (token, status, code) in [
        ("wrong".to_owned(), 401, "unknown_token"),
        (secret("wilma"), 403, "role_too_small"),
        (String::new(), 401, "unknown_token"),
    ] {
        let response = sign_in(&server, &token).await;
        assert!(!response.headers().contains_key("set-cookie"));
        let answered = response.status().as_u16();
        let problem: Value = response.json().await.unwrap();
        assert_eq!((answered, &problem["code"]), (status, &code.into()), "{problem}");
    }
    for body in ["", "{}", "{\"token\": 5}", "null", &format!("{{\"token\": \"{}\"}}", "x".repeat(10_000))] {
        let request = server.client.post(server.url("/session")).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
    }
    let open = Server::start().await;
    assert_eq!(
        show(&open, "").await,
        json!({"name": "local", "role": "admin", "signed_in": false, "tokens_needed": false})
    );
    let response = sign_in(&open, "x").await;
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "no_tokens");
}
