//! Status, lists, content, and what a person asks of an upload.

use serde_json::Value;
use userdata::{
    config::{Role, Token},
    store::ClaimOutcome,
    upload::{Failure, UploadId},
};

use crate::harness::{Server, Setup, USERS};

fn ids(page: &Value) -> Vec<&str> {
    page["uploads"].as_array().unwrap().iter().map(|view| view["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn uploads_are_listed_newest_first_and_page_by_page() {
    let server = Server::start().await;
    let mut sent = Vec::new();
    for name in ["one.csv", "two.csv", "three.csv"] {
        sent.push(server.upload(name, USERS).await.to_string());
    }
    sent.reverse();
    let (_, first) = server.get("/uploads?limit=2").await;
    assert_eq!(ids(&first), sent[..2]);
    let (_, second) = server.get(&format!("/uploads?limit=2&before={}", first["next"])).await;
    assert_eq!(ids(&second), sent[2..]);
    assert!(second["next"].is_null());
    let (_, found) = server.get("/uploads?search=two").await;
    assert_eq!(ids(&found), [&sent[1]]);
    assert!(ids(&server.get("/uploads?state=done").await.1).is_empty());
    assert!(ids(&server.get("/uploads?state=ended").await.1).is_empty());
    assert_eq!(ids(&server.get("/uploads?state=open").await.1), sent);
    server.post(&format!("/uploads/{}/cancel", sent[0]), "").await;
    assert_eq!(ids(&server.get("/uploads?state=ended").await.1), [&sent[0]]);
    assert_eq!(ids(&server.get("/uploads?state=open").await.1), sent[1..]);
    assert_eq!(ids(&server.get("/uploads?sender=local").await.1), sent);
    assert!(ids(&server.get("/uploads?sender=nobody").await.1).is_empty());
    let (status, problem) = server.get("/uploads?state=lost").await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("receiving"), "{problem}");
}

#[tokio::test]
async fn who_asks_again_is_sent_only_what_is_new() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    let ask = async |path: &str, tag: &str| {
        let answer = server.client.get(server.url(path)).header("if-none-match", tag).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            (header("cache-control"), header("vary")),
            ("private, no-cache".into(), "authorization, cookie".into())
        );
        (answer.status().as_u16(), header("etag"), answer.text().await.unwrap())
    };
    for path in [format!("/uploads/{id}"), "/uploads".into(), "/uploads?state=open".into()] {
        let (status, tag, body) = ask(&path, "\"other\"").await;
        assert!(status == 200 && tag.starts_with("W/\"") && body.contains(&id.to_string()), "{path}: {tag} {body}");
        assert_eq!(ask(&path, &tag).await, (304, tag.clone(), String::new()), "{path}");
        assert_eq!(ask(&path, &format!("\"x\", {tag}")).await.0, 304, "{path}");
    }
    let tag = ask(&format!("/uploads/{id}"), "").await.1;
    server.post(&format!("/uploads/{id}/cancel"), "").await;
    let (status, changed, body) = ask(&format!("/uploads/{id}"), &tag).await;
    assert!(status == 200 && changed != tag && body.contains("cancelled"), "{body}");
}

/// RFC 9457: the media type, and members that every problem has.
#[tokio::test]
async fn every_refusal_is_a_problem() {
    let server = Server::start().await;
    let long = "x".repeat(3 << 20);
    let cases = [
        (server.client.get(server.url("/uploads?stat=done")), 400, "bad_query"),
        (server.client.get(server.url("/uploads/%FF%FE")), 400, "bad_path"),
        (server.client.get(server.url("/uploads/nonsense")), 404, "no_such_upload"),
        (server.client.get(server.url("/nowhere")), 404, "no_such_page"),
        (server.client.delete(server.url("/livez")), 405, "method_not_allowed"),
        (server.client.delete(server.url("/uploads")), 405, "method_not_allowed"),
        (server.client.post(server.url("/uploads")), 400, "no_form"),
        (server.client.put(server.url("/uploads/a.csv")).body("a,b\n1,2\n"), 422, "column_not_found"),
        (server.client.put(server.url("/uploads/a.csv?zone=Nowhere")).body(USERS), 400, "bad_option"),
        (server.client.post(server.url("/preview")).body(long), 413, "too_large"),
        (server.client.post(server.url("/session")).body("{}"), 400, "bad_body"),
        (server.client.get(server.url("/uploads")).header("host", "evil.example"), 421, "unknown_host"),
        (server.client.post(server.url("/uploads")).header("origin", "http://evil.example"), 403, "foreign_page"),
    ];
    for (request, status, code) in cases {
        let answer = request.send().await.unwrap();
        let url = answer.url().clone();
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{url}");
        let name = answer.status().canonical_reason().unwrap();
        let problem: Value = answer.json().await.unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()), "{url}: {problem}");
        assert_eq!((&problem["type"], &problem["title"]), (&"about:blank".into(), &name.into()), "{url}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(' ')), "{url}: {problem}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_a_sentence() {
    let server = Server::start().await;
    for path in ["", "/events", "/receipt", "/rejects", "/content"] {
        let (status, problem) = server.get(&format!("/uploads/{}{path}", UploadId::new())).await;
        assert_eq!((status, &problem["code"]), (404, &"no_such_upload".into()), "{path}: {problem}");
    }
    assert_eq!(server.get("/uploads/nonsense").await.0, 404);
    assert_eq!(server.get("/nowhere").await.1["code"], "no_such_page");
    let id = server.upload("a.csv", USERS).await;
    let (status, problem) = server.get(&format!("/uploads/{id}/rejects")).await;
    assert_eq!((status, &problem["code"], &problem["upload"]), (404, &"no_rejects".into(), &id.to_string().into()));
    assert_eq!(server.get(&format!("/uploads/{id}/receipt")).await.1["code"], "no_receipt");
    let (_, history) = server.get(&format!("/uploads/{id}/events")).await;
    assert_eq!(history["events"][0]["state"], "received");
}

#[tokio::test]
async fn content_is_read_whole_or_by_one_range() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    let url = server.url(&format!("/uploads/{id}/content"));
    let read = async |range: Option<&str>| {
        let mut request = server.client.get(&url);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = request.send().await.unwrap();
        let place = response.headers().get("content-range").map(|place| place.to_str().unwrap().to_owned());
        (response.status().as_u16(), place, response.text().await.unwrap())
    };
    assert_eq!(read(None).await, (200, None, USERS.into()));
    let size = USERS.len();
    let part = (206, Some(format!("bytes 3-6/{size}")), USERS[3..7].to_owned());
    assert_eq!(read(Some("bytes=3-6")).await, part);
    let end = (206, Some(format!("bytes {}-{}/{size}", size - 5, size - 1)), USERS[size - 5..].to_owned());
    assert_eq!(read(Some("bytes=-5")).await, end);
    let (status, place, _) = read(Some("bytes=9999-")).await;
    assert_eq!((status, place), (416, Some(format!("bytes */{size}"))));
}

#[tokio::test]
async fn content_needs_the_token_of_the_sender_a_worker_or_an_admin() {
    use sha2::Digest;
    let token = |name: &str, role| {
        let sha256 = sha2::Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        Token { name: name.into(), sha256, role }
    };
    let tokens = vec![token("worker", Role::Worker), token("upload", Role::Upload), token("admin", Role::Admin)];
    let server = Server::with(Setup { tokens, ..Setup::default() }).await;
    let put = server.client.put(server.url("/uploads/a.csv")).bearer_auth("upload").body(USERS).send().await.unwrap();
    let view: Value = put.json().await.unwrap();
    assert_eq!(view["sender"], "upload");
    let url = server.url(&format!("/uploads/{}/content", view["id"].as_str().unwrap()));
    for (token, status) in [("worker", 200), ("admin", 200), ("upload", 200), ("wrong", 401)] {
        assert_eq!(server.client.get(&url).bearer_auth(token).send().await.unwrap().status(), status, "{token}");
    }
    let none = server.client.get(&url).send().await.unwrap();
    assert_eq!((none.status().as_u16(), none.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    let worker = server.client.put(server.url("/uploads/a.csv")).bearer_auth("worker").body(USERS);
    assert_eq!(worker.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn an_upload_is_cancelled_and_opened_again() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    assert_eq!(server.post(&format!("/uploads/{id}/retry"), "").await.0, 409);
    assert_eq!(server.post(&format!("/uploads/{id}/cancel"), "").await.1["outcome"], "cancelled");
    assert_eq!(server.post(&format!("/uploads/{id}/cancel"), "").await.0, 409);
    let (status, view) = server.post(&format!("/uploads/{id}/retry?zone=Europe/Berlin"), "").await;
    assert_eq!((status, &view["state"]), (200, &"received".into()), "{view}");
    assert_eq!(view["options"]["zone"], "Europe/Berlin");
    assert_eq!(server.post(&format!("/uploads/{}/retry", UploadId::new()), "").await.0, 404);
}

#[tokio::test]
async fn a_failed_upload_says_why_and_is_loaded_again_with_other_options() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    let claim = match server.store.claim(id, "test:1", std::time::Duration::from_secs(30)).await.unwrap() {
        ClaimOutcome::Claimed(claim) => claim,
        other => panic!("{other:?}"),
    };
    let failure = Failure { code: "too_bad".into(), message: "no good row".into(), next: Some("look".into()) };
    server.store.fail(&claim, &failure).await.unwrap();
    let (_, view) = server.get(&format!("/uploads/{id}")).await;
    assert_eq!(view["error"], serde_json::json!({"code": "too_bad", "message": "no good row", "next": "look"}));
    let (status, fresh) = server.post(&format!("/uploads/{id}/again"), r#"{"columns": {"id": "Kunde"}}"#).await;
    assert_eq!(status, 201, "{fresh}");
    assert_eq!((&fresh["again_of"], &fresh["options"]["columns"]["id"]), (&id.to_string().into(), &"Kunde".into()));
    let url = server.url(&format!("/uploads/{}/content", fresh["id"].as_str().unwrap()));
    assert_eq!(server.client.get(url).send().await.unwrap().text().await.unwrap(), USERS);
}

#[tokio::test]
async fn with_the_database_down_uploads_are_accepted_kept_and_shown() {
    let server = Server::with(Setup { database_is_down: true, ..Setup::default() }).await;
    let (status, view) = server.put("/uploads/a.csv", USERS).await;
    assert_eq!(status, 201, "{view}");
    let id = view["id"].as_str().unwrap();
    let (status, shown) = server.get(&format!("/uploads/{id}")).await;
    assert_eq!((status, &shown["state"], &shown["waiting"]["for"]), (200, &"received".into(), &"store".into()));
    assert!(shown["waiting"]["message"].as_str().unwrap().contains("127.0.0.1:1"), "{shown}");
    let (status, page) = server.get("/uploads").await;
    assert_eq!((status, ids(&page)), (200, vec![id]));
    assert_eq!(page["waiting"]["for"], "store");
    assert_eq!(server.get(&format!("/uploads/{}", UploadId::new())).await.0, 503);
    let (status, ready) = server.get("/readyz").await;
    assert_eq!((status, &ready["status"], &ready["store"]["ok"]), (200, &"degraded".into(), &false.into()), "{ready}");
    assert_eq!(ready["spool"]["ok"], true);
}

#[tokio::test]
async fn health_is_told_for_each_service() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez").await.0, 200);
    let (status, ready) = server.get("/readyz").await;
    assert_eq!((status, &ready["status"]), (200, &"ready".into()), "{ready}");
}
