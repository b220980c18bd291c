//! A file that was sent before is known by its size and its two ends, to those who may see it.

use serde_json::Value;

use crate::{
    access::{everybody, secret},
    harness::{Server, Setup, USERS, eventually},
};

const KIB: usize = 1 << 10;

/// What a client sends of a file.
fn ends(file: &[u8]) -> Vec<u8> {
    let (head, rest) = file.split_at(file.len().min(64 * KIB));
    [head, &rest[rest.len() - rest.len().min(64 * KIB)..]].concat()
}

async fn known(server: &Server, caller: Option<&str>, file: &[u8]) -> Value {
    let mut request = server.client.post(server.url(&format!("/known?size={}", file.len()))).body(ends(file));
    if let Some(caller) = caller {
        request = request.bearer_auth(secret(caller));
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["uploads"].as_array().unwrap().iter().map(|view| view["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_file_of_any_size_is_known_again_with_what_became_of_it() {
    let server = Server::start().await;
    for size in [USERS.len(), 64 * KIB - 1, 64 * KIB, 100 * KIB, 128 * KIB, 128 * KIB + 1, 300 * KIB] {
        let mut file = USERS.as_bytes().to_vec();
        file.resize(size, b'\n');
        let before = known(&server, None, &file).await;
        assert!(ids(&before).is_empty(), "{size}: {before}");
        let mut sent = Vec::new();
        for name in ["a.csv", "another.csv"] {
            let (_, view) = server.put(&format!("/uploads/{name}"), file.clone()).await;
            let id = view["id"].as_str().unwrap().to_owned();
            eventually("it is known", async || ids(&known(&server, None, &file).await).contains(&id.as_str())).await;
            sent.insert(0, id);
        }
        let answer = known(&server, None, &file).await;
        assert_eq!(ids(&answer), sent, "{size}: the newest first");
        assert_eq!(answer["sample"].as_str().unwrap().len(), 64);
        assert_eq!(answer["uploads"][0], server.get(&format!("/uploads/{}", sent[0])).await.1);
        let mut other = file.clone();
        *other.last_mut().unwrap() = b'x';
        assert!(ids(&known(&server, None, &other).await).is_empty(), "{size}: another end");
        file.push(b'\n');
        assert!(ids(&known(&server, None, &file).await).is_empty(), "{size}: another size");
    }
}

#[tokio::test]
async fn at_most_ten_are_named() {
    let server = Server::start().await;
    for _ in 0..11 {
        server.upload("a.csv", USERS).await;
    }
    assert_eq!(ids(&known(&server, None, USERS.as_bytes()).await).len(), 10);
}

#[tokio::test]
async fn what_others_sent_is_not_known_to_a_sender() {
    let server = Server::with(Setup { tokens: everybody(), ..Setup::default() }).await;
    let put = server.client.put(server.url("/uploads/a.csv")).bearer_auth(secret("anna")).body(USERS);
    assert_eq!(put.send().await.unwrap().status(), 201);
    let knows = async |caller| ids(&known(&server, Some(caller), USERS.as_bytes()).await).len();
    eventually("anna knows it", async || knows("anna").await == 1).await;
    assert_eq!((knows("bert").await, knows("rita").await, knows("adam").await), (0, 1, 1));
}

#[tokio::test]
async fn what_are_no_two_ends_of_a_file_is_refused_in_a_sentence() {
    let server = Server::start().await;
    for (path, body, status, code) in [
        ("/known?size=7", "123456", 400, "bad_body"),
        ("/known?size=200000", "123456", 400, "bad_body"),
        ("/known?size=-1", "", 400, "bad_query"),
        ("/known", "", 400, "bad_query"),
        ("/known?size=1&zone=UTC", "1", 400, "bad_query"),
    ] {
        let (answered, problem) = server.post(path, body).await;
        assert_eq!((answered, &problem["code"]), (status, &code.into()), "{path}: {problem}");
    }
    let (_, problem) = server.post("/known?size=200000", "123456").await;
    assert_eq!(problem["detail"], "the two ends of a file of 200000 bytes are 131072 bytes, 6 came");
}

#[tokio::test]
async fn while_the_database_is_down_the_sample_is_told_all_the_same() {
    let server = Server::with(Setup { database_is_down: true, ..Setup::default() }).await;
    let answer = known(&server, None, USERS.as_bytes()).await;
    assert_eq!((answer["sample"].as_str().unwrap().len(), &answer["waiting"]["for"]), (64, &"store".into()));
}
