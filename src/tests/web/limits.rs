//! Size, disk, ports, and the server's end.

use bytes::Bytes;
use tokio::sync::mpsc;
use userdata::web;

use crate::harness::{Server, Setup, USERS};

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

#[tokio::test]
async fn a_port_in_use_is_said_with_its_number() {
    let first = web::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = web::bind(address).await.unwrap_err();
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
