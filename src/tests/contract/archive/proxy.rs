//! A way to an FTP server that can be cut: a router in between, on another address of this machine. Data connections
//! go through it too, as the server's answers name only their port. It can also refuse commands, as old routers and
//! servers do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

const ADDRESS: &str = "127.0.0.2";

#[derive(Clone, Default)]
pub struct Rules {
    /// Data connections end after so many bytes in either direction.
    pub data_bytes: Option<u64>,
    /// The control connection ends with them.
    pub cut_control: bool,
    /// Commands that are answered here: (command, answer).
    pub refuse: &'static [(&'static str, &'static str)],
}

/// The port, on 127.0.0.2, of a way to `server`.
pub async fn start(server: &str, rules: Rules) -> u16 {
    let server: SocketAddr = server.parse().unwrap();
    let listener = TcpListener::bind((ADDRESS, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(control(client, server, rules.clone()));
        }
    });
    port
}

async fn control(client: TcpStream, server: SocketAddr, rules: Rules) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let cut = Arc::new(Notify::new());
    tokio::select! {
        () = commands(from_client, to_server, Arc::clone(&to_client), rules.refuse) => {}
        () = answers(from_server, to_client, server, &rules, Arc::clone(&cut)) => {}
        () = cut.notified() => {}
    }
}

async fn commands(
    from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    refuse: &[(&str, &str)],
) {
    let mut lines = BufReader::new(from_client).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let refused = refuse.iter().find(|(command, _)| line.starts_with(command));
        let done = match refused {
            Some((_, answer)) => to_client.lock().await.write_all(format!("{answer}\r\n").as_bytes()).await,
            None => to_server.write_all(format!("{line}\r\n").as_bytes()).await,
        };
        if done.is_err() {
            return;
        }
    }
}

async fn answers(
    from_server: OwnedReadHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    server: SocketAddr,
    rules: &Rules,
    cut: Arc<Notify>,
) {
    let mut lines = BufReader::new(from_server).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(port) = passive_port(&line) {
            let listener = TcpListener::bind((ADDRESS, port)).await.unwrap();
            tokio::spawn(data(listener, SocketAddr::new(server.ip(), port), rules.clone(), Arc::clone(&cut)));
        }
        if to_client.lock().await.write_all(format!("{line}\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The port in an answer to EPSV or PASV.
fn passive_port(line: &str) -> Option<u16> {
    let inside = line.split_once('(')?.1.split_once(')')?.0;
    if line.starts_with("229") {
        return inside.trim_matches('|').parse().ok();
    }
    let numbers: Vec<u16> = inside.split(',').map_while(|number| number.parse().ok()).collect();
    (line.starts_with("227") && numbers.len() == 6).then(|| numbers[4] * 256 + numbers[5])
}

async fn data(listener: TcpListener, server: SocketAddr, rules: Rules, cut: Arc<Notify>) {
    let Ok((client, _)) = listener.accept().await else { return };
    let (from_client, to_client) = client.into_split();
    let Ok(stream) = TcpStream::connect(server).await else { return };
    let (from_server, to_server) = stream.into_split();
    let left = AtomicU64::new(rules.data_bytes.unwrap_or(u64::MAX));
    tokio::join!(pass(from_client, to_server, &left), pass(from_server, to_client, &left));
    if rules.cut_control && left.load(Ordering::SeqCst) == 0 {
        cut.notify_one();
    }
}

/// Both halves are dropped when it ends: that closes one direction, or resets it where bytes were not read.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, left: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let room = left.load(Ordering::SeqCst).min(buffer.len() as u64) as usize;
        let read = match from.read(&mut buffer[..room]).await {
            Ok(read) if read > 0 => read,
            _ => return,
        };
        left.fetch_sub(read as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
