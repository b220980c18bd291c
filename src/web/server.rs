//! The accept loop: axum's routes on hyper's own connection builder, which alone gives header timeouts, header limits
//! and an orderly end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::error::{Error, Result};

use super::{
    Context, limits, routes,
    tls::{self, Tls},
};

/// A connection that has sent nothing by then is closed, and so is one whose TLS handshake has not ended by then.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// For a request's headers; it is also how long an idle connection is kept.
const HEADERS: Duration = Duration::from_secs(60);
/// Whoever is silent for so long is asked by the system whether it is still there, and again after as long.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How often refused connections are told of.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long requests may go on after the signal to stop, and then, told to hurry, until they are dropped.
const GRACE: Duration = Duration::from_secs(10);
const HURRY: Duration = Duration::from_secs(2);

/// Connections that may wait to be accepted, where the system allows as many (`net.core.somaxconn`): those over it try
/// again for up to a minute.
const BACKLOG: u32 = 4096;

/// Binds the server's address. To be called within a runtime.
pub fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Else a server that was just stopped keeps the port for a minute.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        let next = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("another program listens on port {}: stop it, or set server.listen", address.port())
            }
            _ => "set server.listen to an address of this machine and a port this user may use".into(),
        };
        Error::fatal("cannot_listen", format!("listening on {address}")).because(error).next(next)
    })
}

/// Serves until `shutdown`, then lets requests end, and returns when every task has ended. A task that died is an
/// error.
pub async fn serve(listener: TcpListener, context: Context, shutdown: CancellationToken) -> Result<()> {
    let router = routes::router(context.clone());
    let builder = builder();
    let most = limits::connections(&context.config.server);
    let tls = context.tls.clone();
    let watching = tls.clone().map(|tls| tokio::spawn(tls.watch(shutdown.clone())));
    let (places, mut refused) = (Arc::new(Semaphore::new(most)), Refused::default());
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut died = None;
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    refused.tell(|count| warn!(%error, count, "connections could not be accepted"));
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            Some(ended) = connections.join_next() => {
                died = died.or(died_in(ended));
                continue;
            }
            () = shutdown.cancelled() => break,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            refused.tell(|count| warn!(most, count, "connections were closed at once: as many as may are open"));
            continue;
        };
        let connection = Connection {
            place,
            tls: tls.clone(),
            builder: builder.clone(),
            patience: context.patience(),
            watcher: graceful.watcher(),
            router: router.clone(),
        };
        connections.spawn(connection.run(stream, peer, shutdown.clone()));
    }
    drop(listener);
    context.board.closed.cancel();
    if let Some(watching) = watching {
        died = died.or(died_in(watching.await.map(drop)));
    }
    tokio::select! {
        () = graceful.shutdown() => {}
        () = sleep(GRACE) => {
            info!("requests are still running: uploads that are arriving end now");
            context.receiver.stop.cancel();
            sleep(HURRY).await;
        }
    }
    connections.abort_all();
    while let Some(ended) = connections.join_next().await {
        died = died.or(died_in(ended));
    }
    context.background.close();
    if timeout(GRACE, context.background.wait()).await.is_err() {
        warn!("uploads that are in the spool could not be registered in time; the next start does it");
    }
    died.map_or(Ok(()), Err)
}

/// What a connection's end says, when it was no ordinary one.
fn died_in(ended: Result<(), JoinError>) -> Option<Error> {
    match ended {
        Err(error) if error.is_panic() => {
            warn!(%error, "a connection's task died");
            Some(Error::fatal("task_died", "serving a connection").because(error))
        }
        _ => None,
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let http1 = &mut builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 << 10).max_headers(64);
    let http2 = &mut builder.http2();
    http2.timer(TokioTimer::new()).max_header_list_size(16 << 10).keep_alive_interval(Duration::from_secs(20));
    // The windows' defaults of 64 KiB would hold uploads back.
    http2.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    builder
}

/// Counts what is refused, and tells it at most once a minute: whoever floods the server must not flood its log.
#[derive(Default)]
struct Refused {
    count: u64,
    told: Option<Instant>,
}

impl Refused {
    fn tell(&mut self, log: impl FnOnce(u64)) {
        self.count += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            log(std::mem::take(&mut self.count));
            self.told = Some(Instant::now());
        }
    }
}

struct Connection {
    place: OwnedSemaphorePermit,
    tls: Option<Arc<Tls>>,
    builder: auto::Builder<TokioExecutor>,
    /// For the first request.
    patience: Duration,
    watcher: Watcher,
    router: Router,
}

impl Connection {
    async fn run(mut self, stream: TcpStream, peer: SocketAddr, shutdown: CancellationToken) {
        // Answers go out at once, and who is gone is noticed; where the system refuses that it is only later.
        stream.set_nodelay(true).ok();
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).ok();
        let mut first = [0];
        tokio::select! {
            first = timeout(FIRST_BYTE, stream.peek(&mut first)) => match first {
                Ok(Ok(1..)) => {}
                _ => return,
            },
            () = shutdown.cancelled() => return,
        }
        let Some(tls) = self.tls.take() else { return self.serve(stream, peer).await };
        if first != [tls::HANDSHAKE] {
            return tell_to_use_tls(stream).await;
        }
        let accepted = tokio::select! {
            accepted = timeout(FIRST_BYTE, tls.accept(stream)) => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.serve(stream, peer).await,
            Ok(Err(error)) => debug!(%peer, %error, "a TLS handshake failed"),
            Err(_) => debug!(%peer, "a TLS handshake did not end in time"),
        }
    }

    /// Leaves a connection whose first request does not come: hyper limits that in HTTP/1 alone, and not while it may
    /// still become HTTP/2.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let _place = self.place;
        let (router, asked) = (self.router, CancellationToken::new());
        let asks = asked.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            asks.cancel();
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        tokio::select! {
            biased;
            ended = self.watcher.watch(connection) => {
                if let Err(error) = ended {
                    debug!(%peer, error, "a connection ended early");
                }
            }
            () = limits::overdue(self.patience, asked.cancelled()) => debug!(%peer, "no request came in time"),
        }
    }
}

/// Somebody typed http:// where https:// is spoken.
async fn tell_to_use_tls(mut stream: TcpStream) {
    const TEXT: &str = "This server speaks TLS: begin the address with https://\n";
    let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length";
    let answer = format!("{head}: {}\r\n\r\n{TEXT}", TEXT.len());
    let telling = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What was sent is read, or the answer would be lost with the connection.
        tokio::io::copy(&mut stream.take(64 << 10), &mut tokio::io::sink()).await
    };
    timeout(HURRY, telling).await.map(drop).unwrap_or_default();
}
