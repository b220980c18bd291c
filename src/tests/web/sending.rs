//! The ways in: form, raw body, the original's form; and what is refused before it is kept.

use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use tokio::sync::mpsc;

use crate::harness::{Server, Setup, USERS, eventually};

fn part(text: &'static str) -> Part {
    Part::text(text).file_name("users.csv").mime_str("text/csv").unwrap()
}

/// A body that is sent piece by piece.
fn slow_body() -> (mpsc::Sender<Result<Bytes, std::io::Error>>, reqwest::Body) {
    let (sender, mut pieces) = mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
    (sender, reqwest::Body::wrap_stream(stream))
}

#[tokio::test]
async fn a_file_comes_in_by_form_and_by_put_and_is_shown() {
    let server = Server::start().await;
    let form = Form::new().text("zone", "Europe/Berlin").text("encoding", "").part("file", part(USERS));
    let (status, by_form) = server.form("/uploads", form).await;
    assert_eq!(status, 201, "{by_form}");
    assert_eq!(by_form["options"]["zone"], "Europe/Berlin");
    assert_eq!(by_form["filename"], "users.csv");
    let (status, by_put) = server.put("/uploads/us%C3%A9rs%2F1.csv?existing=replace&trim=true", USERS).await;
    assert_eq!(status, 201, "{by_put}");
    assert_eq!(by_put["filename"], "usérs/1.csv");
    assert_eq!((&by_put["options"]["existing"], &by_put["options"]["trim"]), (&"replace".into(), &true.into()));
    for view in [&by_form, &by_put] {
        let id = view["id"].as_str().unwrap();
        assert_eq!(view["size"], USERS.len());
        let (status, shown) = server.get(&format!("/uploads/{id}")).await;
        assert_eq!((status, &shown["sha256"], &shown["state"]), (200, &view["sha256"], &"received".into()));
        for field in
            ["sender", "attempts", "read", "inserted", "replaced", "duplicates", "rejected", "repeated_in_file"]
        {
            assert!(!shown[field].is_null(), "{field} is missing");
        }
        assert!(shown["waiting"].is_null() && shown["error"].is_null() && shown["progress"].is_null());
        assert_eq!(shown["times"]["folds"], 0);
    }
}

#[tokio::test]
async fn the_answer_says_where_the_upload_is() {
    let server = Server::start().await;
    let response = server.client.put(server.url("/uploads/a.csv")).body(USERS).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, view) = server.get(&location).await;
    assert_eq!((status, view["links"]["self"].as_str()), (200, Some(location.as_str())));
}

#[tokio::test]
async fn the_original_s_clients_get_the_answer_they_know() {
    let server = Server::start().await;
    let (status, answer) = server.form("/upload", Form::new().part("csvdata", part(USERS))).await;
    assert_eq!((status, &answer["info"]), (200, &"info".into()), "{answer}");
    let message = answer["uploadmessage"].as_object().unwrap();
    assert_eq!(message["filename"], "users.csv");
    assert_eq!((&message["size"], &message["filetype"]), (&USERS.len().into(), &"text/csv".into()));
    let mut names: Vec<_> = message.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut known = ["uuid", "filename", "size", "startTime", "endTime", "totalUploadTime", "path", "filetype"];
    known.sort_unstable();
    assert_eq!(names, known);
    assert_eq!(std::fs::read(message["path"].as_str().unwrap()).unwrap(), USERS.as_bytes());

    let (status, answer) = server.form("/upload", Form::new().part("file", part(USERS))).await;
    assert_eq!((status, &answer["info"]), (400, &"error".into()));
    assert!(answer["message"].as_str().unwrap().contains("csvdata"), "{answer}");
}

#[tokio::test]
async fn a_column_that_cannot_be_found_is_refused_and_nothing_is_kept() {
    let server = Server::start().await;
    let (status, problem) = server.put("/uploads/a.csv", "a,b\n1,2\n").await;
    assert_eq!((status, &problem["code"]), (422, &"column_not_found".into()), "{problem}");
    server.spool_is_empty().await;
    let (status, problem) = server.form("/uploads", Form::new().part("file", part("a,b\n1,2\n"))).await;
    assert_eq!((status, &problem["code"]), (422, &"column_not_found".into()), "{problem}");
    server.spool_is_empty().await;
    let (status, problem) = server.put("/uploads/a.csv", "").await;
    assert_eq!((status, &problem["code"]), (422, &"empty_file".into()), "{problem}");
    server.upload("next.csv", USERS).await;
}

#[tokio::test]
async fn a_wrong_column_is_told_before_the_file_was_sent() {
    let server = Server::start().await;
    let (pieces, body) = slow_body();
    let answer = tokio::spawn(server.client.put(server.url("/uploads/a.csv")).body(body).send());
    pieces.send(Ok(Bytes::from_static(b"first,second\n"))).await.unwrap();
    pieces.send(Ok(Bytes::from_static(b"1,2\n"))).await.unwrap();
    let response = answer.await.unwrap().unwrap();
    assert_eq!(response.status(), 422);
    // The body has not ended: its sender is still here.
    drop(pieces);
    server.spool_is_empty().await;
}

#[tokio::test]
async fn who_goes_on_sending_still_gets_the_answer() {
    let server = Server::start().await;
    let large = format!("a,b\n{}", "1,2\n".repeat(6 << 20));
    let (status, problem) = server.put("/uploads/a.csv", large.clone()).await;
    assert_eq!((status, &problem["code"]), (422, &"column_not_found".into()));
    let form = Form::new().part("file", Part::text(large).file_name("a.csv"));
    let (status, problem) = server.form("/uploads", form).await;
    assert_eq!((status, &problem["code"]), (422, &"column_not_found".into()));
}

#[tokio::test]
async fn an_arriving_upload_is_shown_and_leaves_nothing_when_it_breaks_off() {
    let server = Server::start().await;
    let (pieces, body) = slow_body();
    let sent = tokio::spawn(server.client.put(server.url("/uploads/slow.csv")).body(body).send());
    pieces.send(Ok(Bytes::from_static(USERS.as_bytes()))).await.unwrap();
    eventually("it is listed as receiving", async || {
        let (_, page) = server.get("/uploads?state=receiving&search=slow").await;
        page["uploads"][0]["progress"]["done"] == USERS.len()
    })
    .await;
    let (_, page) = server.get("/uploads").await;
    let id = page["uploads"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/uploads/{id}")).await.1["state"], "receiving");
    pieces.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    sent.await.unwrap().unwrap_err();
    server.spool_is_empty().await;
    assert_eq!(server.get(&format!("/uploads/{id}")).await.0, 404);
}

#[tokio::test]
async fn a_sender_that_falls_silent_is_refused() {
    let server = Server::with(Setup { idle: Duration::from_millis(200), ..Setup::default() }).await;
    let (pieces, body) = slow_body();
    pieces.send(Ok(Bytes::from_static(USERS.as_bytes()))).await.unwrap();
    let response = server.client.put(server.url("/uploads/slow.csv")).body(body).send().await.unwrap();
    assert_eq!(response.status(), 408);
    server.spool_is_empty().await;
}

#[tokio::test]
async fn a_sender_that_drips_is_refused_though_it_is_never_silent() {
    let server = Server::with(Setup { window: Duration::from_millis(300), ..Setup::default() }).await;
    let (pieces, body) = slow_body();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        // Fifty bytes a second, until the server has enough of it.
        while pieces.send(Ok(Bytes::from_static(b"i"))).await.is_ok() {
            every.tick().await;
        }
    });
    let response = server.client.put(server.url("/uploads/slow.csv")).body(body).send().await.unwrap();
    assert_eq!(response.status(), 408);
    let problem: serde_json::Value = response.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(problem["code"] == "upload_stalled" && detail.contains(" B came in 300ms"), "{problem}");
    server.spool_is_empty().await;
}

#[tokio::test]
async fn options_that_cannot_be_are_refused_by_name() {
    let server = Server::start().await;
    let (status, problem) = server.put("/uploads/a.csv?zone=Nowhere", USERS).await;
    assert_eq!((status, &problem["code"]), (400, &"bad_option".into()));
    assert!(problem["detail"].as_str().unwrap().contains("Nowhere"), "{problem}");
    let form = Form::new().text("zonne", "UTC").part("file", part(USERS));
    let (status, problem) = server.form("/uploads", form).await;
    assert_eq!((status, &problem["code"]), (400, &"bad_option".into()));
    server.spool_is_empty().await;
}

#[tokio::test]
async fn an_option_behind_the_file_or_a_second_file_is_refused_rather_than_lost() {
    let server = Server::start().await;
    let forms = [
        Form::new().part("file", part(USERS)).text("zone", "Europe/Berlin"),
        Form::new().part("file", part(USERS)).part("file", part(USERS)),
    ];
    for form in forms {
        let (status, problem) = server.form("/uploads", form).await;
        assert_eq!((status, &problem["code"]), (400, &"bad_form".into()), "{problem}");
        server.spool_is_empty().await;
    }
    let form = Form::new().part("file", part(USERS)).text("submit", "Upload");
    assert_eq!(server.form("/uploads", form).await.0, 201);
}

#[tokio::test]
async fn a_form_without_its_end_is_incomplete() {
    let server = Server::start().await;
    let body = format!("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n{USERS}");
    let request = server.client.post(server.url("/uploads")).header("content-type", "multipart/form-data; boundary=b");
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "incomplete_upload", "{problem}");
    server.spool_is_empty().await;
}

#[tokio::test]
async fn the_template_of_the_page_is_taken_without_any_option() {
    let server = Server::start().await;
    let template = server.client.get(server.url("/example.csv")).send().await.unwrap();
    assert!(template.headers()["content-disposition"].to_str().unwrap().contains(".csv"));
    let (status, view) = server.put("/uploads/example.csv", template.bytes().await.unwrap()).await;
    assert_eq!(status, 201, "{view}");
}
