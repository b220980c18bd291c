//! Resumable uploads while the server is killed at random moments: every one goes on at the offset that the server
//! tells, no acknowledged byte is lost, and the bytes are right in the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{Client, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{process::DEADLINE, world::World};

const UPLOADS: u64 = 24;
const KILLS: usize = 8;
const ROWS: u64 = 40_000;
/// Larger than what the server writes at once, smaller than the file.
const PIECE_BYTES: usize = 700_000;

/// A file of its own for each upload, about 2 MB.
fn file(number: u64) -> Vec<u8> {
    let rows = (0..ROWS).map(|row| format!("{number}-{row},Ada Lovelace {row},2020-01-01T00:00:00Z\n"));
    let mut text = String::from("id,name,time_of_start\n");
    text.extend(rows);
    text.into_bytes()
}

/// What one sender knows.
struct Sender {
    http: Client,
    base: String,
    bytes: Arc<Vec<u8>>,
    /// So many bytes the server has acknowledged.
    acknowledged: usize,
    /// How often it went on after a failure.
    resumed: Arc<AtomicUsize>,
}

impl Sender {
    /// A request that is repeated until there is an answer; while the server is gone it waits.
    async fn answered(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Response {
        let asking = async {
            loop {
                match request().header("tus-resumable", "1.0.0").send().await {
                    Ok(response) => return response,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("the server comes back")
    }

    /// Sends the whole file, however often the line breaks; gives the upload's id.
    async fn send(mut self) -> String {
        let size = self.bytes.len();
        let create = || self.http.post(format!("{}/files", self.base)).header("upload-length", size);
        let begun = self.answered(create).await;
        assert_eq!(begun.status(), 201);
        let path = begun.headers()["location"].to_str().unwrap().to_owned();
        let url = format!("{}{path}", self.base);
        while self.acknowledged < size {
            let end = size.min(self.acknowledged + PIECE_BYTES);
            let piece = self.bytes[self.acknowledged..end].to_vec();
            let request = self.http.patch(&url).header("tus-resumable", "1.0.0");
            let request = request.header("upload-offset", self.acknowledged);
            let request = request.header("content-type", "application/offset+octet-stream").body(piece);
            match request.send().await {
                Ok(response) if response.status() == 204 => self.acknowledged = offset(&response),
                // Killed, or stopped by the request for the offset that another try made before.
                _ => {
                    let told = self.answered(|| self.http.head(&url)).await;
                    assert_eq!(told.status(), 200, "{told:?}");
                    let told = offset(&told);
                    assert!(told >= self.acknowledged, "{told} is less than the acknowledged {}", self.acknowledged);
                    assert!(told <= end);
                    self.acknowledged = told;
                    self.resumed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        path.rsplit('/').next().unwrap().to_owned()
    }
}

fn offset(response: &Response) -> usize {
    response.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_go_on_at_the_told_offset_after_kills_at_random_moments() {
    let mut world = World::embedded();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.set("server", &format!("listen = \"127.0.0.1:{port}\""));
    let mut server = world.serve().await;
    let resumed = Arc::new(AtomicUsize::new(0));
    let files: Vec<_> = (0..UPLOADS).map(|number| Arc::new(file(number))).collect();
    let senders = files.iter().map(|bytes| {
        let sender = Sender {
            http: server.http.clone(),
            base: server.url.clone(),
            bytes: bytes.clone(),
            acknowledged: 0,
            resumed: resumed.clone(),
        };
        tokio::spawn(sender.send())
    });
    let senders = senders.collect::<Vec<_>>();
    let seed = rand::random::<u64>();
    println!("the moments' seed: {seed}");
    let mut moments = StdRng::seed_from_u64(seed);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(moments.random_range(5..250))).await;
        server.role.kill().await;
        server = world.serve().await;
    }
    let ids = tokio::time::timeout(DEADLINE, futures_util::future::join_all(senders)).await.expect("they end");
    println!("{} senders went on {} times over {KILLS} kills", UPLOADS, resumed.load(Ordering::Relaxed));
    assert!(resumed.load(Ordering::Relaxed) >= KILLS, "the kills hit nobody: {}", resumed.load(Ordering::Relaxed));
    for (id, bytes) in ids.into_iter().zip(&files) {
        let upload = server.until_state(&id.unwrap(), "done").await;
        let hash: String = Sha256::digest(&**bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&upload["sha256"], &upload["read"]), (&hash.into(), &Value::from(ROWS)), "{upload}");
    }
    assert_eq!(world.table().await.len() as u64, UPLOADS * ROWS);
}
