//! Uploads are followed: what is told on connect, what later, to whom, and how it ends.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};
use userdata::{
    config::{Role, TokenFile},
    store::ClaimOutcome,
    upload::{Failure, Progress, Stage, Unit, UploadId},
};

use crate::{
    access::{everybody, secret, token},
    harness::{Server, Setup, USERS, eventually},
};

const SOON: Duration = Duration::from_secs(30);

/// A stream of events, read as it comes.
struct Events {
    answer: reqwest::Response,
    text: String,
}

/// One event, or a comment.
#[derive(Debug, Default)]
struct Event {
    id: u64,
    name: String,
    data: Value,
    comment: String,
}

impl Events {
    async fn of(server: &Server, path: &str, caller: Option<&str>) -> Self {
        let mut request = server.client.get(server.url(path));
        if let Some(caller) = caller {
            request = request.bearer_auth(secret(caller));
        }
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { answer, text: String::new() }
    }

    /// The next event or comment; none at the stream's end.
    async fn any(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.name.is_empty() && event.comment.is_empty() {
                    continue;
                }
                return Some(event);
            }
            let chunk = timeout(SOON, self.answer.chunk()).await.expect("something is sent within 30 s").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.any().await?;
            if event.comment.is_empty() {
                return Some(event);
            }
        }
    }

    /// Reads on until an event is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut last = 0;
        let reading = async {
            loop {
                let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {what}"));
                assert!(event.id > last, "ids grow: {last}, then {event:?}");
                last = event.id;
                if wanted(&event) {
                    return event;
                }
            }
        };
        timeout(SOON, reading).await.unwrap_or_else(|_| panic!("did not happen within 30 s: {what}"))
    }

    async fn until_state(&mut self, id: UploadId, state: &str) -> Value {
        self.until(state, |event| event.is(id) && event.data["state"] == state).await.data
    }
}

impl Event {
    fn is(&self, id: UploadId) -> bool {
        self.name == "upload" && self.data["id"] == id.to_string()
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ").unwrap() {
            ("id", id) => event.id = id.parse().unwrap(),
            ("event", name) => event.name = name.into(),
            ("data", data) => event.data = serde_json::from_str(data).unwrap(),
            ("", comment) => event.comment = comment.into(),
            ("retry", ms) => assert!(ms.parse::<u32>().unwrap() > 0),
            other => panic!("{other:?} in {block}"),
        }
    }
    event
}

async fn claimed(server: &Server, id: UploadId) -> userdata::upload::Claim {
    match server.store.claim(id, "test:1", Duration::from_secs(600)).await.unwrap() {
        ClaimOutcome::Claimed(claim) => claim,
        other => panic!("{other:?}"),
    }
}

async fn fail(server: &Server, id: UploadId) {
    let failure = Failure { code: "too_bad".into(), message: "no good row".into(), next: None };
    server.store.fail(&claimed(server, id).await, &failure).await.unwrap();
}

#[tokio::test]
async fn who_connects_hears_of_all_that_is_open_and_then_of_each_change() {
    let server = Server::start().await;
    let (ended, open) = (server.upload("a.csv", USERS).await, server.upload("b.csv", USERS).await);
    fail(&server, ended).await;
    let mut events = Events::of(&server, "/events", None).await;
    let first = events.next().await.unwrap();
    assert!(first.is(open), "what ended before is no news: {first:?}");
    let (_, view) = server.get(&format!("/uploads/{open}")).await;
    assert_eq!(first.data, view, "an event carries the whole view");
    // As a worker on another machine does it.
    let claim = claimed(&server, open).await;
    let progress = Progress { stage: Stage::Archive, done: 7, total: 9, unit: Unit::Bytes };
    server.store.heartbeat(&claim, Some(progress)).await.unwrap();
    let event = events.until("progress", |event| event.data["progress"]["done"] == 7).await;
    assert!(event.is(open) && event.id > first.id && event.data["owner"] == "test:1", "{event:?}");
    let late = server.upload("c.csv", USERS).await;
    events.until_state(late, "received").await;
    let failure = Failure { code: "too_bad".into(), message: "no good row".into(), next: None };
    server.store.fail(&claim, &failure).await.unwrap();
    assert_eq!(events.until_state(open, "failed").await["error"]["code"], "too_bad");
    server.post(&format!("/uploads/{late}/cancel"), "").await;
    events.until_state(late, "cancelled").await;
    // What ended is told once; what is opened again is news.
    server.post(&format!("/uploads/{open}/retry"), "").await;
    let next = events.next().await.unwrap();
    assert!(next.is(open) && next.data["state"] == "received", "{next:?}");
}

#[tokio::test]
async fn one_upload_is_followed_from_whatever_it_is_to_its_end() {
    let server = Server::start().await;
    let (id, other) = (server.upload("a.csv", USERS).await, server.upload("b.csv", USERS).await);
    let mut events = Events::of(&server, &format!("/events?upload={id}"), None).await;
    assert!(events.next().await.unwrap().is(id));
    fail(&server, other).await;
    fail(&server, id).await;
    while let Some(event) = events.next().await {
        assert!(event.is(id), "{event:?}");
        if event.data["state"] == "failed" {
            assert!(events.next().await.is_none(), "the stream ends with it");
            break;
        }
    }
    let mut again = Events::of(&server, &format!("/events?upload={id}"), None).await;
    assert_eq!(again.next().await.unwrap().data["state"], "failed");
    assert!(again.next().await.is_none());
    for (path, status, code) in [
        (format!("/events?upload={}", UploadId::new()), 404, "no_such_upload"),
        ("/events?upload=nonsense".into(), 404, "no_such_upload"),
        ("/events?uplaod=1".into(), 400, "bad_query"),
    ] {
        let (answered, problem) = server.get(&path).await;
        assert_eq!((answered, &problem["code"]), (status, &code.into()), "{path}: {problem}");
    }
}

#[tokio::test]
async fn a_sender_hears_of_its_own_uploads_alone_and_nobody_after_the_token_is_gone() {
    let server = Server::with(Setup { tokens: everybody(), ..Setup::default() }).await;
    let put = async |name: &str| {
        let request = server.client.put(server.url("/uploads/a.csv")).bearer_auth(secret(name)).body(USERS);
        let view: Value = request.send().await.unwrap().json().await.unwrap();
        view["id"].as_str().unwrap().parse::<UploadId>().unwrap()
    };
    let file = TokenFile { path: server.data().join("tokens.toml") };
    file.add(token("carl", Role::Upload)).unwrap();
    let known = || server.client.get(server.url("/uploads")).bearer_auth(secret("carl")).send();
    eventually("carl is known", async || known().await.unwrap().status() == 200).await;
    let theirs = put("bert").await;
    let mut carl = Events::of(&server, "/events", Some("carl")).await;
    let mut rita = Events::of(&server, "/events", Some("rita")).await;
    rita.until_state(theirs, "received").await;
    let own = put("carl").await;
    assert!(carl.next().await.unwrap().is(own), "and nothing of bert's");
    rita.until_state(own, "received").await;
    let get = |caller: Option<&str>, path: String| {
        let request = server.client.get(server.url(&path));
        caller.map_or(request.try_clone().unwrap(), |caller| request.bearer_auth(secret(caller))).send()
    };
    assert_eq!(get(Some("carl"), format!("/events?upload={theirs}")).await.unwrap().status(), 404);
    assert_eq!(get(Some("wilma"), "/events".into()).await.unwrap().status(), 403);
    assert_eq!(get(None, "/events".into()).await.unwrap().status(), 401);
    let other = put("carl").await;
    let mut quiet = Events::of(&server, &format!("/events?upload={other}"), Some("carl")).await;
    eventually("the ledger has it", async || server.store.upload(own).await.unwrap().is_some()).await;
    let claim = claimed(&server, own).await;
    file.remove("carl").unwrap();
    eventually("carl is gone", async || known().await.unwrap().status() == 401).await;
    let busy = async {
        for done in 1.. {
            let progress = Progress { stage: Stage::Archive, done, total: done, unit: Unit::Bytes };
            server.store.heartbeat(&claim, Some(progress)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = busy => {}
        ended = timeout(SOON, async { while carl.any().await.is_some() {} }) => ended.expect("a busy stream ends, too"),
    }
    while quiet.any().await.is_some() {}
    // The others hear that the line lives.
    while rita.any().await.expect("it goes on").comment != "alive" {}
}

#[tokio::test]
async fn what_arrives_is_followed_and_what_breaks_off_is_gone() {
    let server = Server::start().await;
    let mut events = Events::of(&server, "/events", None).await;
    let (bytes, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = reqwest::Body::wrap_stream(futures_util::stream::unfold(body, async |mut body| {
        body.recv().await.map(|bytes| (bytes, body))
    }));
    let sending = tokio::spawn(server.client.put(server.url("/uploads/a.csv")).body(body).send());
    bytes.send(Ok(Bytes::from_static(USERS.as_bytes()))).await.unwrap();
    let size = USERS.len();
    let arriving = |event: &Event| event.data["state"] == "receiving" && event.data["progress"]["done"] == size;
    let id: UploadId = events.until("its bytes", arriving).await.data["id"].as_str().unwrap().parse().unwrap();
    let mut alone = Events::of(&server, &format!("/events?upload={id}"), None).await;
    assert_eq!(alone.next().await.unwrap().data["state"], "receiving");
    bytes.send(Err(std::io::Error::other("the line broke"))).await.unwrap();
    assert!(sending.await.unwrap().is_err());
    let gone = |event: &Event| event.name == "gone" && event.data == serde_json::json!({ "id": id });
    events.until("it is gone", gone).await;
    alone.until("it is gone", gone).await;
    assert!(alone.next().await.is_none());
}

#[tokio::test]
async fn an_upload_that_arrives_whole_is_followed_into_the_ledger() {
    let server = Server::start().await;
    let mut events = Events::of(&server, "/events", None).await;
    let id = server.upload("a.csv", USERS).await;
    events.until_state(id, "received").await;
    fail(&server, id).await;
    events.until_state(id, "failed").await;
}

#[tokio::test]
async fn while_the_database_is_down_it_is_said_and_what_arrives_is_told() {
    let server = Server::with(Setup { database_is_down: true, ..Setup::default() }).await;
    let mut events = Events::of(&server, "/events", None).await;
    let waiting = events.next().await.unwrap();
    assert_eq!((waiting.name.as_str(), &waiting.data["for"]), ("waiting", &"store".into()), "{waiting:?}");
    assert!(waiting.data["message"].as_str().unwrap().contains("127.0.0.1:1"), "{waiting:?}");
    let (status, view) = server.put("/uploads/a.csv", USERS).await;
    assert_eq!(status, 201, "{view}");
    let told = events.until("the upload", |event| event.name == "upload").await;
    assert_eq!((&told.data["id"], &told.data["waiting"]["for"]), (&view["id"], &"store".into()), "{told:?}");
}

#[tokio::test]
async fn a_server_that_stops_ends_all_streams_at_once() {
    let server = Server::start().await;
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(Events::of(&server, "/events", None).await);
    }
    let id = server.upload("a.csv", USERS).await;
    for events in &mut all {
        events.until_state(id, "received").await;
    }
    let (running, _folder) = server.stop();
    let stopped = timeout(Duration::from_secs(5), running).await.expect("nobody is waited for");
    stopped.unwrap().unwrap();
    for events in &mut all {
        while events.any().await.is_some() {}
    }
}
