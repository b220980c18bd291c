//! The server's certificate and key: read at the start, and again when their files change or on SIGHUP, without a
//! restart. A pair that cannot be used is told once, and the one before stays.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::interval,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config,
    error::{Error, Result},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What the first byte of a TLS connection says: a handshake (RFC 8446, 5.1).
pub(super) const HANDSHAKE: u8 = 22;

pub(super) struct Tls {
    files: config::Tls,
    current: RwLock<Arc<ServerConfig>>,
}

/// What tells one state of the two files from another; `None` while one is missing.
type Stamps = Option<[(u64, i64, i64, u64); 2]>;

impl Tls {
    /// `Fatal` (`configuration`) when certificate and key cannot be used.
    pub fn open(files: &config::Tls) -> Result<Arc<Self>> {
        let current = RwLock::new(read(files)?);
        Ok(Arc::new(Self { files: files.clone(), current }))
    }

    /// Secures a connection. Its caller sets the deadline.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        hello.into_stream(current).await
    }

    /// Takes up changed files until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) -> Result<()> {
        let listening = |error: io::Error| Error::fatal("signals", "listening for SIGHUP").because(error);
        let mut hangup = signal(SignalKind::hangup()).map_err(listening)?;
        let mut look = interval(LOOK);
        let (mut used, mut seen) = (self.stamps(), self.stamps());
        loop {
            let asked = tokio::select! {
                _ = look.tick() => false,
                _ = hangup.recv() => true,
                () = stop.cancelled() => return Ok(()),
            };
            let now = self.stamps();
            // Two files are not written at once: what changes still is looked at again.
            let settled = now == seen;
            seen = now;
            if asked || (settled && now != used) {
                used = now;
                self.take_up();
            }
        }
    }

    fn take_up(&self) {
        let certificate = self.files.certificate.display();
        match read(&self.files) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                info!(%certificate, "the certificate was read again");
            }
            Err(error) => {
                let error = error.with_next();
                warn!(%certificate, %error, "the new certificate or key cannot be used; the one before stays in use");
            }
        }
    }

    fn stamps(&self) -> Stamps {
        let stamp =
            |path| fs::metadata(path).ok().map(|file| (file.ino(), file.mtime(), file.mtime_nsec(), file.len()));
        Some([stamp(&self.files.certificate)?, stamp(&self.files.key)?])
    }
}

fn read(files: &config::Tls) -> Result<Arc<ServerConfig>> {
    let wrong = |key: &str, path: &std::path::Path, error: &dyn std::fmt::Display| {
        Error::fatal("configuration", format!("server.tls.{key} {}: {error}", path.display()))
            .next("it must be PEM that the user of the server may read")
    };
    let certificate = |error: &dyn std::fmt::Display| wrong("certificate", &files.certificate, error);
    let chain = CertificateDer::pem_file_iter(&files.certificate).map_err(|error| certificate(&error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| certificate(&error))?;
    if chain.is_empty() {
        return Err(certificate(&"the file holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong("key", &files.key, &error))?;
    let unusable = |error: rustls::Error| {
        let text = format!("server.tls: {} does not fit {}", files.key.display(), files.certificate.display());
        Error::fatal("configuration", text).because(error).next("give the key that the certificate was made for")
    };
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
