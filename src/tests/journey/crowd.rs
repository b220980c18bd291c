//! Many at once: slow connections beside a normal upload, and a thousand uploads beside each other. What the server
//! takes for them stays within what the README says.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Barrier, Mutex},
    task::JoinSet,
    time::Instant,
};

use crate::{
    generator::{Spec, generate},
    process::DEADLINE,
    world::{Server, World},
};

const SLOW: usize = 5_000;
const UPLOADS: usize = 1_000;
/// README, "Limits".
const MEMORY_BYTES: u64 = 512 << 20;
const OPEN_FILES: usize = 2_050;

/// One crowd at a time: two would keep each other waiting until senders are taken for dead.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A server that receives and does no more: its queue cannot be reached.
async fn receiving_server() -> (World, Server) {
    // Each connection of this test is a file of its own process, too.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let mut world = World::embedded();
    world.set("queue", "kind = \"kafka\"");
    world.set("queue.kafka", "brokers = \"127.0.0.1:9\"");
    let server = world.serve().await;
    (world, server)
}

impl Server {
    fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.role.id())).unwrap().count()
    }

    /// Most memory that the process had at any time, bytes.
    fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.role.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

/// How many uploads are arriving.
fn arriving(world: &World) -> usize {
    let names = std::fs::read_dir(world.path().join("data/spool")).unwrap();
    names
        .filter(|name| Path::new(&name.as_ref().unwrap().file_name()).extension().is_some_and(|kind| kind == "part"))
        .count()
}

async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let waiting = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("did not happen: {what}"));
}

/// The beginning of a request that its sender does not end: in its headers, or in its body.
async fn slow(address: &str, in_body: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = match in_body {
        false => "GET /uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        true => {
            "PUT /uploads/slow.csv HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nid,name,time_of_start\n1,"
        }
    };
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_upload_passes_five_thousand_slow_connections() {
    let _alone = ALONE.lock().await;
    let (world, server) = receiving_server().await;
    let file = generate(&Spec { rows: 200_000, ..Spec::default() }).bytes;
    let timed = async |name: &str| {
        let began = Instant::now();
        server.put(name, &file, &[]).await;
        began.elapsed()
    };
    timed("warm.csv").await;
    let alone = timed("alone.csv").await;
    let address = server.address();
    let connecting = (0..SLOW).map(|number| slow(&address, number % 2 == 0));
    let mut crowd: Vec<_> = stream::iter(connecting).buffered(100).collect().await;
    until("all of them are there", || arriving(&world) == SLOW / 2 && server.open_files() > SLOW).await;
    let beside = timed("beside.csv").await;
    println!(
        "{} bytes: {alone:?} alone, {beside:?} beside {SLOW} slow connections; peak {} MiB, {} open files",
        file.len(),
        server.peak_bytes() >> 20,
        server.open_files()
    );
    assert_eq!(arriving(&world), SLOW / 2, "nobody was sent away for it");
    assert!(server.peak_bytes() <= MEMORY_BYTES, "{}", server.peak_bytes());
    // Whoever is slow is still served.
    let mut stream = crowd.remove(1);
    stream.write_all(b"done\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(crowd);
    until("nothing stays of those who left", || arriving(&world) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_uploads_at_once_take_the_memory_and_files_that_are_promised() {
    let _alone = ALONE.lock().await;
    let (world, server) = receiving_server().await;
    let before = server.open_files();
    let file = Arc::new(generate(&Spec { rows: 8_000, ..Spec::default() }).bytes);
    let half = file.len() / 2;
    let all = Arc::new(Barrier::new(UPLOADS + 1));
    let mut sending = JoinSet::new();
    for number in 0..UPLOADS {
        let (address, file, all) = (server.address(), file.clone(), all.clone());
        sending.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let size = file.len();
            let head = format!(
                "PUT /uploads/{number}.csv HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&file[..half]).await.unwrap();
            all.wait().await;
            stream.write_all(&file[half..]).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.starts_with("HTTP/1.1 201")
        });
    }
    until("all arrive", || arriving(&world) == UPLOADS).await;
    let open = server.open_files() - before;
    all.wait().await;
    let answers = sending.join_all().await;
    assert!(answers.iter().all(|created| *created));
    println!(
        "{UPLOADS} uploads of {} bytes at once: peak {} MiB, {open} open files more",
        file.len(),
        server.peak_bytes() >> 20
    );
    assert!(server.peak_bytes() <= MEMORY_BYTES, "{}", server.peak_bytes());
    assert!(open <= OPEN_FILES, "{open}");
    assert_eq!(arriving(&world), 0);
}
