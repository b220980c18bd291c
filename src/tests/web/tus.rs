//! Resumable uploads by the protocol tus 1.0.0: each of its MUSTs, and what happens on lines that break.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use userdata::config::{Role, Token, sha256};

use crate::harness::{Server, Setup, USERS, eventually};

const PIECE: &str = "application/offset+octet-stream";

impl Server {
    fn tus(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse::<Method>().unwrap();
        self.client.request(method, self.url(path)).header("tus-resumable", "1.0.0")
    }

    /// Where a new upload of `size` bytes is.
    async fn begin(&self, size: usize) -> String {
        let response = self.tus("POST", "/files").header("upload-length", size).send().await.unwrap();
        assert_eq!(response.status(), 201);
        header(&response, "location")
    }

    fn patch(&self, path: &str, offset: usize, bytes: impl Into<reqwest::Body>) -> RequestBuilder {
        self.tus("PATCH", path).header("upload-offset", offset).header("content-type", PIECE).body(bytes)
    }

    async fn add(&self, path: &str, offset: usize, bytes: &'static str) -> Response {
        self.patch(path, offset, bytes).send().await.unwrap()
    }

    /// The offset that HEAD tells.
    async fn offset(&self, path: &str) -> usize {
        let response = self.tus("HEAD", path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        header(&response, "upload-offset").parse().unwrap()
    }
}

fn header(response: &Response, name: &str) -> String {
    find(response.headers(), name).unwrap_or_else(|| panic!("no {name} in {response:?}"))
}

fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    (status, problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_the_server_can_do_is_told_before_anything_is_sent() {
    let server = Server::with(Setup { max_upload_bytes: 1000, ..Setup::default() }).await;
    for path in ["/files", "/files/01a21005-4890-75f9-9e8f-64321c1201b7"] {
        let response = server.client.request(Method::OPTIONS, server.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, "tus-resumable"), "1.0.0");
        assert_eq!(header(&response, "tus-version"), "1.0.0");
        assert_eq!(header(&response, "tus-max-size"), "1000");
        assert_eq!(header(&response, "tus-checksum-algorithm"), "sha1,sha256");
        let extensions = header(&response, "tus-extension");
        for extension in ["creation", "creation-with-upload", "creation-defer-length", "termination", "expiration"] {
            assert!(extensions.split(',').any(|known| known == extension), "{extensions}");
        }
    }
}

#[tokio::test]
async fn an_upload_in_pieces_becomes_an_upload_like_any_other() {
    let server = Server::start().await;
    let metadata = format!("filename {},zone {},own {},lone", b64("Büro 1.csv"), b64("Europe/Berlin"), b64("x"));
    let request = server.tus("POST", "/files?trim=true").header("upload-length", USERS.len());
    let response = request.header("upload-metadata", &metadata).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "upload-offset").as_str()), (201, "0"));
    assert!(header(&response, "upload-expires").ends_with("GMT"));
    let file = header(&response, "location");
    let upload = file.replace("/files/", "/uploads/");
    let (status, view) = server.get(&upload).await;
    assert_eq!((status, &view["state"], &view["links"]["tus"]), (200, &"receiving".into(), &file.as_str().into()));
    assert!(view["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{view}");
    for (from, to) in [(0, 3), (3, 40)] {
        let response = server.add(&file, from, &USERS[from..to]).await;
        assert_eq!((response.status().as_u16(), header(&response, "upload-offset")), (204, to.to_string()));
        let response = server.tus("HEAD", &file).send().await.unwrap();
        assert_eq!(header(&response, "upload-offset"), to.to_string());
        assert_eq!(header(&response, "upload-length"), USERS.len().to_string());
        assert_eq!(header(&response, "upload-metadata"), metadata);
        assert_eq!(header(&response, "cache-control"), "no-store");
    }
    let response = server.add(&file, 40, &USERS[40..]).await;
    assert_eq!((response.status().as_u16(), header(&response, "upload-offset")), (204, USERS.len().to_string()));
    let (_, view) = server.get(&upload).await;
    assert_eq!((&view["state"], &view["filename"]), (&"received".into(), &"Büro 1.csv".into()));
    assert_eq!(view["sha256"], hex(&Sha256::digest(USERS)));
    assert_eq!((&view["options"]["zone"], &view["options"]["trim"]), (&"Europe/Berlin".into(), &true.into()));
    // A sender that never got the last answer asks again.
    let response = server.tus("HEAD", &file).send().await.unwrap();
    assert_eq!((header(&response, "upload-offset"), header(&response, "upload-length")), twice(USERS.len()));
    assert_eq!(server.add(&file, USERS.len(), "").await.status(), 204);
    assert_eq!(problem(server.add(&file, USERS.len(), "more").await).await, (409, "offset_conflict".into()));
    let taken_back = server.tus("DELETE", &file).send().await.unwrap();
    assert_eq!(problem(taken_back).await, (409, "finished".into()));
}

fn twice(size: usize) -> (String, String) {
    (size.to_string(), size.to_string())
}

fn b64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_first_piece_may_come_with_the_beginning_and_the_size_at_the_end() {
    let server = Server::start().await;
    let request = server.tus("POST", "/files").header("upload-length", USERS.len()).header("content-type", PIECE);
    let response = request.body(USERS).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "upload-offset")), (201, USERS.len().to_string()));
    let (_, view) = server.get(&header(&response, "location").replace("files", "uploads")).await;
    assert_eq!(view["state"], "received");

    let response = server.tus("POST", "/files").header("upload-defer-length", "1").send().await.unwrap();
    let file = header(&response, "location");
    assert_eq!(server.add(&file, 0, &USERS[..30]).await.status(), 204);
    let response = server.tus("HEAD", &file).send().await.unwrap();
    assert_eq!(
        (header(&response, "upload-defer-length"), find(response.headers(), "upload-length")),
        ("1".into(), None)
    );
    let request = server.patch(&file, 30, &USERS[30..]).header("upload-length", USERS.len());
    assert_eq!(request.send().await.unwrap().status(), 204);
    assert_eq!(server.get(&file.replace("files", "uploads")).await.1["state"], "received");
}

#[tokio::test]
async fn a_size_that_is_told_with_nothing_left_to_send_ends_the_upload() {
    let server = Server::start().await;
    let response = server.tus("POST", "/files").header("upload-defer-length", "1").send().await.unwrap();
    let file = header(&response, "location");
    assert_eq!(server.add(&file, 0, USERS).await.status(), 204);
    let wrong = server.patch(&file, USERS.len(), "").header("upload-length", 5).send().await.unwrap();
    assert_eq!(problem(wrong).await, (400, "size_conflict".into()));
    let last = server.patch(&file, USERS.len(), "").header("upload-length", USERS.len()).send().await.unwrap();
    assert_eq!(last.status(), 204);
    assert_eq!(server.get(&file.replace("files", "uploads")).await.1["state"], "received");
}

#[tokio::test]
async fn each_request_that_the_protocol_forbids_is_refused_and_changes_nothing() {
    let server = Server::with(Setup { max_upload_bytes: 1000, ..Setup::default() }).await;
    let file = server.begin(USERS.len()).await;
    assert_eq!(server.add(&file, 0, &USERS[..30]).await.status(), 204);
    let plain = |method: &str, path: &str| server.client.request(method.parse::<Method>().unwrap(), server.url(path));
    let create = || server.tus("POST", "/files");
    let unknown = "/files/01a21005-4890-75f9-9e8f-64321c1201b7";
    let refused = [
        (plain("POST", "/files").header("upload-length", 5), 412, "tus_version"),
        (plain("PATCH", &file).header("tus-resumable", "0.2.2"), 412, "tus_version"),
        (create(), 400, "bad_tus_header"),
        (create().header("upload-length", "five"), 400, "bad_tus_header"),
        (create().header("upload-length", "-5"), 400, "bad_tus_header"),
        (create().header("upload-length", "+5"), 400, "bad_tus_header"),
        (create().header("upload-defer-length", "2"), 400, "bad_tus_header"),
        (create().header("upload-length", 5).header("upload-defer-length", "1"), 400, "bad_tus_header"),
        (create().header("upload-length", 1001), 413, "too_large"),
        (create().header("upload-length", 0), 422, "empty_file"),
        (create().header("upload-length", 5).header("content-type", vec![0xff_u8]), 400, "bad_tus_header"),
        (create().header("upload-length", 5).header("upload-metadata", "filename !"), 400, "bad_tus_header"),
        (create().header("upload-length", 5).header("upload-metadata", "a YQ==,a YQ=="), 400, "bad_tus_header"),
        (server.tus("POST", "/files?zone=Nowhere").header("upload-length", 5), 400, "bad_option"),
        (server.tus("POST", "/files?unknown=1").header("upload-length", 5), 400, "bad_option"),
        (server.tus("PATCH", &file).header("upload-offset", 30).body("x"), 415, "bad_media_type"),
        (server.tus("PATCH", &file).header("content-type", PIECE).body("x"), 400, "bad_tus_header"),
        (server.patch(&file, 29, "x"), 409, "offset_conflict"),
        (server.patch(&file, 31, "x"), 409, "offset_conflict"),
        (server.patch(&file, 30, "x").header("upload-length", 999), 400, "size_conflict"),
        (server.patch(&file, 30, "x".repeat(900)), 400, "size_conflict"),
        (server.patch(&file, 30, "x").header("upload-checksum", "md5 eA=="), 400, "bad_tus_header"),
        (server.patch(&file, 30, "x").header("upload-checksum", "sha1 !"), 400, "bad_tus_header"),
        (server.patch(unknown, 0, "x"), 404, "no_such_upload"),
        (server.tus("DELETE", unknown), 404, "no_such_upload"),
        (server.tus("POST", &file), 405, "method_not_allowed"),
    ];
    for (request, status, code) in refused {
        let asked = format!("{request:?}");
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "tus-resumable"), "1.0.0", "{asked}");
        if status == 412 {
            assert_eq!(header(&response, "tus-version"), "1.0.0");
        }
        assert_eq!(problem(response).await, (status, code.into()), "{asked}");
    }
    let missing = server.tus("HEAD", unknown).send().await.unwrap();
    assert_eq!((missing.status().as_u16(), find(missing.headers(), "upload-offset")), (404, None));
    assert_eq!(server.offset(&file).await, 30);
    assert_eq!(server.spooled().len(), 2, "{:?}", server.spooled());
    assert_eq!(server.add(&file, 30, &USERS[30..]).await.status(), 204);
}

#[tokio::test]
async fn what_is_no_file_of_users_is_refused_with_its_first_record_and_gone() {
    let server = Server::start().await;
    let file = server.begin(100).await;
    assert_eq!(server.add(&file, 0, "first,sec").await.status(), 204);
    assert_eq!(problem(server.add(&file, 9, "ond\n1,2\n").await).await, (422, "column_not_found".into()));
    assert!(server.spooled().is_empty(), "{:?}", server.spooled());
    // One whose first record has no end is looked at when all of it is there.
    let file = server.begin(13).await;
    assert_eq!(problem(server.add(&file, 0, "first,second,").await).await, (422, "column_not_found".into()));
    server.spool_is_empty().await;
}

#[tokio::test]
async fn a_piece_with_another_checksum_than_its_own_is_not_kept() {
    let server = Server::start().await;
    let file = server.begin(USERS.len()).await;
    let (first, rest) = USERS.split_at(30);
    let sha1 = format!("sha1 {}", b64(Sha1::digest(first)));
    let wrong = server.patch(&file, 0, rest).header("upload-checksum", &sha1).send().await.unwrap();
    assert_eq!(problem(wrong).await.0, 460);
    assert_eq!(server.offset(&file).await, 0);
    let right = server.patch(&file, 0, first).header("upload-checksum", &sha1).send().await.unwrap();
    assert_eq!(right.status(), 204);
    let sha256 = format!("sha256 {}", b64(Sha256::digest(rest)));
    let right = server.patch(&file, 30, rest).header("upload-checksum", sha256).send().await.unwrap();
    assert_eq!(right.status(), 204);
    let (_, view) = server.get(&file.replace("files", "uploads")).await;
    assert_eq!(view["sha256"], hex(&Sha256::digest(USERS)));
}

/// A body of which the first bytes come, and then nothing; dropped, its line breaks.
fn endless(first: &'static str) -> (tokio::sync::mpsc::Sender<Result<&'static str, std::io::Error>>, reqwest::Body) {
    let (sender, mut pieces) = tokio::sync::mpsc::channel(8);
    sender.try_send(Ok(first)).unwrap();
    (sender, reqwest::Body::wrap_stream(futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx))))
}

#[tokio::test]
async fn what_came_before_the_line_broke_stays() {
    let server = Server::start().await;
    let file = server.begin(USERS.len()).await;
    let (sender, body) = endless(&USERS[..30]);
    let sending = tokio::spawn(server.patch(&file, 0, body).send());
    let upload = file.replace("files", "uploads");
    eventually("it came", async || server.get(&upload).await.1["progress"]["done"] == 30).await;
    sender.send(Err(std::io::Error::other("gone"))).await.unwrap();
    assert!(sending.await.unwrap().is_err());
    eventually("nobody holds it", async || server.offset(&file).await == 30).await;
    assert_eq!(server.add(&file, 30, &USERS[30..]).await.status(), 204);
    let (_, view) = server.get(&upload).await;
    assert_eq!((&view["state"], &view["sha256"]), (&"received".into(), &hex(&Sha256::digest(USERS)).into()));
}

#[tokio::test]
async fn a_newer_piece_takes_over_from_one_that_hangs_and_what_that_sent_stays() {
    let server = Server::start().await;
    let file = server.begin(USERS.len()).await;
    let (_open, body) = endless(&USERS[..30]);
    let older = tokio::spawn(server.patch(&file, 0, body).send());
    let upload = file.replace("files", "uploads");
    eventually("it came", async || server.get(&upload).await.1["progress"]["done"] == 30).await;
    assert_eq!(server.add(&file, 30, &USERS[30..]).await.status(), 204);
    // The older one is told, where its line still stands.
    if let Ok(response) = older.await.unwrap() {
        assert_eq!(problem(response).await, (409, "overtaken_by_request".into()));
    }
    assert_eq!(server.get(&upload).await.1["state"], "received");
}

#[tokio::test]
async fn a_sender_that_stalls_loses_its_line_and_no_byte() {
    let server = Server::with(Setup { idle: Duration::from_millis(200), ..Setup::default() }).await;
    let file = server.begin(USERS.len()).await;
    let (_open, body) = endless(&USERS[..30]);
    let response = server.patch(&file, 0, body).send().await.unwrap();
    assert_eq!(problem(response).await, (408, "upload_stalled".into()));
    assert_eq!(server.offset(&file).await, 30);
}

#[tokio::test]
async fn an_unfinished_upload_can_be_taken_back_and_expires() {
    let server = Server::with(Setup { expire: Duration::from_millis(50), ..Setup::default() }).await;
    let file = server.begin(USERS.len()).await;
    let response = server.tus("POST", &file).header("x-http-method-override", "DELETE").send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "tus-resumable").as_str()), (204, "1.0.0"));
    assert!(server.spooled().is_empty());
    assert_eq!(server.add(&file, 0, USERS).await.status(), 404);
    let file = server.begin(USERS.len()).await;
    let spool = server.spool.clone();
    eventually("it is given up", async || {
        spool.clean_orphans().unwrap();
        server.spooled().is_empty()
    })
    .await;
    assert_eq!(server.tus("HEAD", &file).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn only_who_began_an_upload_goes_on_with_it() {
    let token = |name: &str, role| Token { name: name.into(), sha256: sha256(name), role };
    let tokens = vec![token("ada", Role::Upload), token("bob", Role::Upload), token("root", Role::Admin)];
    let server = Server::with(Setup { tokens, ..Setup::default() }).await;
    let none = server.tus("POST", "/files").header("upload-length", 5).send().await.unwrap();
    assert_eq!(none.status(), 401);
    let begun = server.tus("POST", "/files").bearer_auth("ada").header("upload-length", USERS.len());
    let file = header(&begun.send().await.unwrap(), "location");
    for (who, status) in [("bob", 404), ("root", 403)] {
        for request in [server.tus("HEAD", &file), server.tus("DELETE", &file), server.patch(&file, 0, USERS)] {
            assert_eq!(request.bearer_auth(who).send().await.unwrap().status(), status, "{who}");
        }
    }
    assert_eq!(server.patch(&file, 0, USERS).bearer_auth("ada").send().await.unwrap().status(), 204);
}
