//! Size, disk, ports, time, and the server's end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use userdata::{
    config,
    disk::Disks,
    rows::RowOptions,
    spool::{Arrival, Resume, Spool},
    upload::UploadId,
    web,
};

use crate::{
    harness::{Server, Setup, USERS, eventually},
    openapi::Description,
};

#[tokio::test]
async fn a_file_over_the_limit_is_refused_whether_or_not_its_size_is_announced() {
    let server = Server::with(Setup { max_upload_bytes: 1000, ..Setup::default() }).await;
    let large = format!("{USERS}{}", "3,Eve,2017-03-08T00:30:54Z\n".repeat(100));
    let (status, problem) = server.put("/uploads/a.csv", large.clone()).await;
    assert_eq!((status, &problem["code"]), (413, &"too_large".into()), "{problem}");
    let pieces: Vec<_> = large.into_bytes().chunks(100).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let (status, problem) = server.put("/uploads/a.csv", body).await;
    assert_eq!((status, &problem["code"]), (413, &"too_large".into()), "{problem}");
    server.spool_is_empty().await;
    server.upload("small.csv", USERS).await;
}

#[tokio::test]
async fn with_too_little_free_space_nothing_is_kept_and_the_answer_says_how_much() {
    let server = Server::with(Setup { free_bytes: u64::MAX / 2, ..Setup::default() }).await;
    let (status, problem) = server.put("/uploads/a.csv", USERS).await;
    assert_eq!((status, &problem["code"]), (507, &"disk_full".into()), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("are kept free") && detail.contains(server.spool.folder().to_str().unwrap()), "{detail}");
    assert!(server.spooled().is_empty());
    assert_eq!(server.get("/readyz").await.0, 503);
}

/// An upload whose first three bytes came while there was room.
async fn begun_before(server: &Server) -> UploadId {
    let (path, keep) = (server.spool.folder().into(), Duration::from_secs(1));
    let config = config::Spool { path, keep, keep_failed: keep, expire: keep, free_bytes: 0 };
    let spool = Arc::new(Spool::open(&config, Disks::default()).unwrap());
    let resume = Resume {
        media_type: "text/csv".into(),
        options: RowOptions::default(),
        metadata: String::new(),
        offset: 0,
        hash: Default::default(),
        is_readable: false,
        is_unverified: false,
        boot: String::new(),
        last_byte_ms: 0,
    };
    let (id, filename, sender, size) = (UploadId::new(), "a.csv".into(), "local".into(), Some(USERS.len() as u64));
    let arrival = Arrival { id, filename, sender, started_ms: 0, size, resume: Some(resume) };
    let mut incoming = spool.begin(arrival).await.unwrap();
    incoming.write(Bytes::from_static(&USERS.as_bytes()[..3])).await.unwrap();
    incoming.pause().await.unwrap().id
}

#[tokio::test]
async fn an_upload_that_the_disk_has_no_room_for_is_asked_about_and_taken_back() {
    let server = Server::with(Setup { free_bytes: u64::MAX / 2, ..Setup::default() }).await;
    let id = begun_before(&server).await;
    let url = server.url(&format!("/files/{id}"));
    let ask = |method: Method| server.client.request(method, &url).header("tus-resumable", "1.0.0");
    let more = ask(Method::PATCH).header("upload-offset", 3).header("content-type", "application/offset+octet-stream");
    assert_eq!(more.body(&USERS[3..]).send().await.unwrap().status(), 507);
    let asked = ask(Method::HEAD).send().await.unwrap();
    assert_eq!((asked.status().as_u16(), asked.headers()["upload-offset"].to_str().unwrap()), (200, "3"));
    assert_eq!(ask(Method::DELETE).send().await.unwrap().status(), 204);
    assert!(server.spooled().is_empty(), "{:?}", server.spooled());
}

#[tokio::test]
async fn of_too_many_uploads_at_once_the_last_is_refused_and_may_come_again() {
    let server = Server::with(Setup { max_uploads_at_once: 2, ..Setup::default() }).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let (pieces, mut taken) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let body = reqwest::Body::wrap_stream(futures_util::stream::poll_fn(move |cx| taken.poll_recv(cx)));
        let sent = tokio::spawn(server.client.put(server.url("/uploads/a.csv")).body(body).send());
        pieces.send(Ok(Bytes::from_static(USERS.as_bytes()))).await.unwrap();
        open.push((pieces, sent));
    }
    eventually("both are arriving", async || server.spool.receiving().unwrap().len() == 2).await;
    let response = server.client.put(server.url("/uploads/a.csv")).body(USERS).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "too_many_uploads", "{problem}");
    assert!(problem["detail"].as_str().unwrap().starts_with("2 uploads are arriving"), "{problem}");
    let form = reqwest::multipart::Form::new().text("file", USERS);
    assert_eq!(server.form("/uploads", form).await.1["code"], "too_many_uploads");
    for (pieces, sent) in open {
        drop(pieces);
        assert_eq!(sent.await.unwrap().unwrap().status(), 201);
    }
    server.upload("b.csv", USERS).await;
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once_and_the_others_go_on() {
    let server = Server::with(Setup { max_connections: 2, ..Setup::default() }).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        get(&mut stream).await;
        open.push(stream);
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    // An end or a reset, without any byte.
    assert!(matches!(third.read(&mut [0]).await, Ok(0) | Err(_)));
    for stream in &mut open {
        get(stream).await;
    }
    open.pop();
    eventually("a place is free again", async || {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        try_get(&mut stream).await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    })
    .await;
}

async fn get(stream: &mut TcpStream) {
    let answer = try_get(stream).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Asks on an open connection; gives the beginning of the answer.
async fn try_get(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// What is answered to the beginning of a request until the server closes the connection.
async fn until_closed(server: &Server, begun: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(begun.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    assert!(closed.is_ok(), "it is open after 30 s: {begun}");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_connects_and_asks_nothing_is_left_and_who_asked_is_not() {
    let server = Server::with(Setup { idle: Duration::from_millis(200), ..Setup::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    get(&mut stream).await;
    // What may become either version of HTTP, HTTP/2 without a request, and half a request.
    for begun in ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /livez HTTP/1.1\r\nhost"] {
        until_closed(&server, begun).await;
    }
    get(&mut stream).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::with(Setup { idle: Duration::from_millis(200), ..Setup::default() }).await;
    let (description, id) = (Description::of(&server).await, UploadId::new().to_string());
    for path in ["/session", "/preview", "/known?size=9", "/uploads/{id}/retry", "/uploads/{id}/again"] {
        let head = format!("POST {} HTTP/1.1\r\nhost: localhost\r\n", path.replace("{id}", &id));
        let begun = format!("{head}content-type: application/json\r\ncontent-length: 9\r\n\r\n{{");
        let answer = until_closed(&server, &begun).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_stalled"), "{path}: {answer}");
        description.assert_documents("POST", path, 408);
    }
}

/// With two lengths for one body a proxy and we could take its bytes for different requests (RFC 9112, 6.3).
#[tokio::test]
async fn nothing_is_smuggled_behind_a_body_with_two_lengths() {
    let server = Server::start().await;
    let chunk = format!("{:x}\r\n{USERS}\r\n0\r\n\r\n", USERS.len());
    let smuggled = "GET /uploads HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (long, chunked) =
        (format!("content-length: {}\r\n", chunk.len() + smuggled.len()), "transfer-encoding: chunked\r\n");
    for headers in [format!("{long}{chunked}"), format!("{chunked}{long}")] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("PUT /uploads/a.csv HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        stream.write_all(format!("{head}{chunk}{smuggled}").as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        // The connection is closed behind the first answer.
        stream.read_to_end(&mut answers).await.ok();
        let answers = String::from_utf8_lossy(&answers);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
    server.upload("b.csv", USERS).await;
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let server = Server::start().await;
    for headers in ["a: b\r\n".repeat(200), format!("a: {}\r\n", "b".repeat(100_000))] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        // It may refuse before it has read all.
        stream.write_all(head.as_bytes()).await.ok();
        let mut answer = vec![0; 100];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    server.upload("b.csv", USERS).await;
}

#[tokio::test]
async fn a_port_in_use_is_said_with_its_number() {
    let first = web::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = first.local_addr().unwrap();
    let error = web::bind(address).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(error.next.unwrap().contains(&format!("listens on port {}", address.port())));
}

#[tokio::test]
async fn a_stopping_server_lets_an_upload_end_and_takes_no_new_one() {
    let server = Server::start().await;
    let (pieces, mut taken) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = reqwest::Body::wrap_stream(futures_util::stream::poll_fn(move |cx| taken.poll_recv(cx)));
    let sent = tokio::spawn(server.client.put(server.url("/uploads/a.csv")).body(body).send());
    pieces.send(Ok(Bytes::from_static(USERS.as_bytes()))).await.unwrap();
    crate::harness::eventually("it is arriving", async || !server.spool.receiving().unwrap().is_empty()).await;
    let (url, client, store) = (server.url("/livez"), server.client.clone(), server.store.clone());
    let (stopped, _folder) = server.stop();
    crate::harness::eventually("new connections are refused", async || client.get(&url).send().await.is_err()).await;
    pieces.send(Ok(Bytes::from_static(b"3,Eve,2017-03-08T00:30:54Z\n"))).await.unwrap();
    drop(pieces);
    let response = sent.await.unwrap().unwrap();
    assert_eq!(response.status(), 201);
    let view: serde_json::Value = response.json().await.unwrap();
    stopped.await.unwrap().unwrap();
    // Registering goes on behind the answer, and is awaited too.
    let id = view["id"].as_str().unwrap().parse().unwrap();
    assert!(store.upload(id).await.unwrap().is_some());
}
