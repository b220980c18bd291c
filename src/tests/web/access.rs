//! Who is let in: tokens by each way of showing them, roles on every route, the token file, networks without tokens.

use reqwest::{Method, multipart};
use serde_json::Value;
use userdata::{
    config::{Role, Token, TokenFile, sha256},
    upload::UploadId,
};

use crate::{
    harness::{Server, Setup, USERS, eventually},
    openapi::Description,
};

pub fn token(name: &str, role: Role) -> Token {
    Token { name: name.into(), sha256: sha256(&secret(name)), role }
}

/// A token as `[[server.token]]` may have it.
pub fn secret(name: &str) -> String {
    format!("the-token-of-{name}")
}

pub fn everybody() -> Vec<Token> {
    let all = [("wilma", Role::Worker), ("rita", Role::Read), ("bert", Role::Upload), ("anna", Role::Upload)];
    all.into_iter().chain([("adam", Role::Admin)]).map(|(name, role)| token(name, role)).collect()
}

async fn with_everybody() -> Server {
    Server::with(Setup { tokens: everybody(), ..Setup::default() }).await
}

/// Asks as the bearer of a token, or as a stranger.
async fn ask(server: &Server, method: &str, path: &str, name: Option<&str>) -> (u16, Value) {
    let mut request = server.client.request(method.parse::<Method>().unwrap(), server.url(path));
    if let Some(name) = name {
        request = request.bearer_auth(secret(name));
    }
    let part = || multipart::Part::bytes(USERS.as_bytes()).file_name("a.csv");
    request = match (method, path) {
        ("POST", "/uploads") => request.multipart(multipart::Form::new().part("file", part())),
        ("POST", "/upload") => request.multipart(multipart::Form::new().part("csvdata", part())),
        ("PUT", _) | ("POST", "/preview") => request.body(USERS),
        _ => request,
    };
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn sent_by(server: &Server, name: &str) -> UploadId {
    let (status, view) = ask(server, "PUT", "/uploads/a.csv", Some(name)).await;
    assert_eq!((status, &view["sender"]), (201, &name.into()), "{view}");
    let id: UploadId = view["id"].as_str().unwrap().parse().unwrap();
    eventually("the ledger has it", async || server.store.upload(id).await.unwrap().is_some()).await;
    id
}

#[tokio::test]
async fn each_role_may_do_its_own_on_every_route_and_strangers_nothing() {
    let server = with_everybody().await;
    let id = sent_by(&server, "anna").await;
    // A stranger, the worker, who only reads, another sender, the sender, the admin; in this order.
    let routes = [
        ("GET", "/uploads", [401, 403, 200, 200, 200, 200]),
        ("GET", "/uploads/{id}", [401, 403, 200, 404, 200, 200]),
        ("GET", "/uploads/{id}/events", [401, 403, 200, 404, 200, 200]),
        ("GET", "/uploads/{id}/content", [401, 200, 403, 404, 200, 200]),
        // There are none yet, which only those hear who may have them.
        ("GET", "/uploads/{id}/rejects", [401, 403, 403, 404, 404, 404]),
        ("GET", "/uploads/{id}/receipt", [401, 403, 403, 404, 404, 404]),
        ("POST", "/preview", [401, 403, 200, 200, 200, 200]),
        ("PUT", "/uploads/a.csv", [401, 403, 403, 201, 201, 201]),
        ("POST", "/uploads", [401, 403, 403, 201, 201, 201]),
        ("POST", "/upload", [401, 403, 403, 200, 200, 200]),
        ("POST", "/uploads/{id}/retry", [401, 403, 403, 404, 409, 409]),
        ("POST", "/uploads/{id}/again", [401, 403, 403, 404, 201, 201]),
        ("POST", "/uploads/{id}/cancel", [401, 403, 403, 404, 200, 409]),
        ("GET", "/uploads/{id}/rejects/sample", [401, 403, 403, 404, 404, 404]),
        ("GET", "/events?upload={id}", [401, 403, 200, 404, 200, 200]),
        ("POST", "/known?size=0", [401, 403, 200, 200, 200, 200]),
        // No method and no route gives a stranger more.
        ("DELETE", "/uploads", [401, 403, 405, 405, 405, 405]),
        ("GET", "/", [200; 6]),
        ("GET", "/livez", [200; 6]),
        ("GET", "/readyz", [200; 6]),
        ("GET", "/session", [200; 6]),
        ("GET", "/nowhere", [404; 6]),
    ];
    let description = Description::of(&server).await;
    let callers = [None, Some("wilma"), Some("rita"), Some("bert"), Some("anna"), Some("adam")];
    for (method, path, expected) in routes {
        for (caller, status) in callers.into_iter().zip(expected) {
            let (template, path) = (path, path.replace("{id}", &id.to_string()));
            let (answered, problem) = ask(&server, method, &path, caller).await;
            description.assert_documents(method, template, answered);
            assert_eq!(answered, status, "{method} {path} by {caller:?}: {problem}");
            match status {
                401 => assert_eq!(problem["code"], "token_needed", "{problem}"),
                403 => assert_eq!(problem["code"], "role_too_small", "{problem}"),
                // As of an upload that does not exist.
                404 if caller == Some("bert") && path.contains("/uploads/") => {
                    assert_eq!(problem["code"], "no_such_upload", "{problem}");
                    let other = path.replace(&id.to_string(), &UploadId::new().to_string());
                    let (_, none) = ask(&server, method, &other, caller).await;
                    let keys = |problem: &Value| problem.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
                    assert_eq!((keys(&none), &none["next"]), (keys(&problem), &problem["next"]));
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_list_holds_what_the_caller_sees_and_nothing_of_others() {
    let server = with_everybody().await;
    let (anna, bert) = (sent_by(&server, "anna").await.to_string(), sent_by(&server, "bert").await.to_string());
    let list = async |query: &str, caller: &str| {
        let (status, page) = ask(&server, "GET", &format!("/uploads{query}"), Some(caller)).await;
        assert_eq!(status, 200, "{page}");
        let uploads = page["uploads"].as_array().unwrap().clone();
        uploads.iter().map(|view| view["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for query in ["", "?state=open", "?search=a.csv", "?limit=1"] {
        assert_eq!(list(query, "anna").await, [&*anna], "{query}");
        assert_eq!(list(query, "bert").await, [&*bert], "{query}");
    }
    assert!(list("?sender=bert", "anna").await.is_empty());
    assert!(list(&format!("?search={bert}"), "anna").await.is_empty());
    for caller in ["rita", "adam"] {
        assert_eq!(list("", caller).await, [&*bert, &*anna], "{caller}");
        assert_eq!(list("?sender=anna", caller).await, [&*anna], "{caller}");
    }
}

#[tokio::test]
async fn a_stranger_hears_what_to_do_and_no_name_of_any_service() {
    let server = with_everybody().await;
    let response = server.client.get(server.url("/uploads")).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    let problem: Value = response.json().await.unwrap();
    assert!(problem["next"].as_str().unwrap().contains("userdata token add"), "{problem}");
    for (caller, whole) in [(None, false), (Some("bert"), false), (Some("rita"), true), (Some("adam"), true)] {
        let (_, ready) = ask(&server, "GET", "/readyz", caller).await;
        assert_eq!(ready["status"], "ready");
        assert_eq!(ready["store"].is_object(), whole, "{caller:?}: {ready}");
    }
}

#[tokio::test]
async fn a_token_is_shown_as_bearer_or_as_the_password_of_basic() {
    let server = with_everybody().await;
    let get = || server.client.get(server.url("/uploads"));
    let cases = [
        (get().bearer_auth(secret("anna")), 200),
        (get().header("authorization", format!("bearer  {}", secret("anna"))), 200),
        (get().basic_auth("whoever", Some(secret("anna"))), 200),
        (get().basic_auth(secret("anna"), None::<&str>), 401),
        (get().basic_auth("anna", Some("wrong")), 401),
        (get().header("authorization", "Basic ???"), 401),
        (get().header("authorization", secret("anna")), 401),
    ];
    for (number, (request, status)) in cases.into_iter().enumerate() {
        assert_eq!(request.send().await.unwrap().status(), status, "case {number}");
    }
}

#[tokio::test]
async fn the_token_file_is_read_again_and_what_is_wrong_with_it_opens_nothing() {
    let server = Server::start().await;
    assert_eq!(server.get("/uploads").await.0, 200, "without any token everybody is local");
    let file = TokenFile { path: server.data().join("tokens.toml") };
    let anna = async |wanted: u16, what: &str| {
        eventually(what, async || ask(&server, "GET", "/uploads", Some("anna")).await.0 == wanted).await;
    };
    let closed = async |what: &str| {
        eventually(what, async || ask(&server, "GET", "/uploads", None).await.0 == 401).await;
    };
    file.add(token("anna", Role::Upload)).unwrap();
    closed("the first token closes the server").await;
    anna(200, "it is known").await;
    file.add(token("bert", Role::Upload)).unwrap();
    eventually("so is the next", async || ask(&server, "GET", "/uploads", Some("bert")).await.0 == 200).await;
    let good = std::fs::read_to_string(&file.path).unwrap();
    std::fs::write(&file.path, "[[token]]\nname = broken").unwrap();
    // The other way round something is seen to happen: a file that can be read again, without bert.
    std::fs::write(&file.path, good.split("\n[[token]]\nname = \"bert\"").next().unwrap()).unwrap();
    eventually("bert is gone", async || ask(&server, "GET", "/uploads", Some("bert")).await.0 == 401).await;
    anna(200, "the other one stays").await;
    std::fs::remove_file(&file.path).unwrap();
    anna(401, "a lost file shuts everybody out").await;
    closed("and lets nobody in").await;
}

#[tokio::test]
async fn an_open_network_sends_by_the_original_s_way_and_does_nothing_else() {
    let open_to = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Server::with(Setup { tokens: everybody(), open_to, ..Setup::default() }).await;
    let (status, answer) = ask(&server, "POST", "/upload", None).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["uploadmessage"]["uuid"].as_str().unwrap();
    let (_, view) = ask(&server, "GET", &format!("/uploads/{id}"), Some("rita")).await;
    assert_eq!(view["sender"], "127.0.0.1");
    for (method, path) in [("PUT", "/uploads/a.csv"), ("POST", "/uploads"), ("GET", "/uploads"), ("GET", "/upload")] {
        assert_eq!(ask(&server, method, path, None).await.0, 401, "{method} {path}");
    }
    let elsewhere = vec!["10.0.0.0/8".parse().unwrap()];
    let server = Server::with(Setup { tokens: everybody(), open_to: elsewhere, ..Setup::default() }).await;
    assert_eq!(ask(&server, "POST", "/upload", None).await.0, 401);
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_a_made_token_never_pays_for_it() {
    let server = with_everybody().await;
    let made = userdata::web::new_token();
    let file = TokenFile { path: server.data().join("tokens.toml") };
    file.add(Token { name: "made".into(), sha256: sha256(&made), role: Role::Upload }).unwrap();
    let get = async |token: String| server.client.get(server.url("/uploads")).bearer_auth(token).send().await.unwrap();
    eventually("the new token is known", async || {
        let (_, session) = {
            let answer = server.client.get(server.url("/session")).bearer_auth(&made).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        session["name"] == "made"
    })
    .await;
    let mut last = None;
    for number in 0..30 {
        let response = get(format!("guess-{number}")).await;
        if response.status() == 429 {
            last = Some(response);
            break;
        }
        assert_eq!(response.status(), 401);
    }
    let response = last.expect("a guesser is stopped");
    assert!(response.headers().contains_key("retry-after"));
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "too_many_wrong_tokens", "{problem}");
    assert_eq!(get(secret("anna")).await.status(), 429, "or guessing would go on unseen");
    assert_eq!(get(made.clone()).await.status(), 200);
    let sign_in = server.client.post(server.url("/session")).json(&serde_json::json!({ "token": "guess" }));
    assert_eq!(sign_in.send().await.unwrap().status(), 429);
}

#[tokio::test]
async fn a_refused_sender_hears_the_refusal_and_not_a_broken_connection() {
    let server = with_everybody().await;
    let large = format!("{USERS}{}", "3,Eve,2017-03-08T00:30:54Z\n".repeat(300_000));
    for _ in 0..5 {
        let response = server.client.put(server.url("/uploads/a.csv")).body(large.clone()).send().await.unwrap();
        let status = response.status();
        let problem: Value = response.json().await.unwrap();
        assert_eq!((status.as_u16(), &problem["code"]), (401, &"token_needed".into()));
    }
    assert!(server.spooled().is_empty());
}
