//! A way to a service that a test opens, closes and breaks: a router on a loopback address of its own, with the
//! service's own ports, so that an FTP server's data connections go over it too. Closed it refuses, as a host does
//! where nothing runs.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Notify},
    task::JoinSet,
};

/// `compose/services` gives each service a block of so many ports; pure-ftpd uses all of its block.
pub const BLOCK: u16 = 100;

#[derive(Clone)]
pub struct Way(Arc<Inner>);

struct Inner {
    address: IpAddr,
    target: SocketAddr,
    ports: u16,
    /// Bytes from clients after which it breaks.
    left: AtomicU64,
    breaks: Notify,
    broken: Notify,
    /// What is lost when it closes: listeners, and in them the connections.
    open: Mutex<JoinSet<()>>,
}

impl Way {
    /// A closed one to `target`, and to `ports` ports from there on.
    pub fn to(target: &str, ports: u16) -> Self {
        let [_, a, b, c] = rand::random::<[u8; 4]>();
        Self(Arc::new(Inner {
            address: IpAddr::V4(Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254))),
            target: target.parse().unwrap(),
            ports,
            left: AtomicU64::new(u64::MAX),
            breaks: Notify::new(),
            broken: Notify::new(),
            open: Mutex::default(),
        }))
    }

    pub fn host(&self) -> String {
        self.0.address.to_string()
    }

    /// `host:port`, as messages name it.
    pub fn address(&self) -> String {
        SocketAddr::new(self.0.address, self.0.target.port()).to_string()
    }

    pub async fn open(&self) {
        let mut open = self.0.open.lock().await;
        self.0.left.store(u64::MAX, Ordering::SeqCst);
        for port in self.0.target.port()..self.0.target.port() + self.0.ports {
            let listener = TcpListener::bind((self.0.address, port)).await.unwrap();
            let to = SocketAddr::new(self.0.target.ip(), port);
            open.spawn(accept(self.0.clone(), listener, to));
        }
    }

    /// Refuses from now on, and cuts what is connected.
    pub async fn close(&self) {
        self.0.open.lock().await.shutdown().await;
    }

    /// Cuts what is connected, and from now on answers everybody with this, as a proxy does that finds no server.
    pub async fn answer(&self, answer: &'static [u8]) {
        self.close().await;
        let listener = TcpListener::bind(self.address()).await.unwrap();
        self.0.open.lock().await.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                // Who has left meanwhile misses it.
                let _ = client.read(&mut [0; 1 << 14]).await;
                let _ = client.write_all(answer).await;
                let _ = client.shutdown().await;
            }
        });
    }

    /// Closes by itself as soon as clients have sent so many bytes more; see `broken`.
    pub fn break_after(&self, bytes: u64) {
        self.0.left.store(bytes, Ordering::SeqCst);
        let way = self.clone();
        tokio::spawn(async move {
            way.0.breaks.notified().await;
            way.close().await;
            way.0.broken.notify_one();
        });
    }

    pub async fn broken(&self) {
        let broken = tokio::time::timeout(crate::process::DEADLINE, self.0.broken.notified()).await;
        broken.expect("so much was never sent that the way would break");
    }
}

async fn accept(way: Arc<Inner>, listener: TcpListener, to: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection(way.clone(), client, to));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(way: Arc<Inner>, client: TcpStream, to: SocketAddr) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(pass(from_client, to_server, Some(&way)), pass(from_server, to_client, None));
}

/// Both halves are dropped when it ends, which closes that direction.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counted: Option<&Inner>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Some(way) = counted
            && way.left.load(Ordering::SeqCst) != u64::MAX
            && way.left.fetch_sub(read as u64, Ordering::SeqCst) < read as u64
        {
            way.left.store(u64::MAX, Ordering::SeqCst);
            way.breaks.notify_one();
            return std::future::pending().await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
