//! One login on an FTP server: each command bounded in time, each refusal in the server's words. suppaftp bounds
//! nothing itself, and after a call that was given up its replies no longer match its commands, so a session that
//! failed otherwise than by a reply is dropped.

use std::{future::Future, time::Duration};

use secrecy::ExposeSecret;
use socket2::{SockRef, TcpKeepalive};
use suppaftp::{
    FtpResult, Mode,
    tokio::{AsyncRustlsConnector, AsyncRustlsFtpStream, AsyncRustlsStream, TransferStream},
    types::FileType,
};
use tokio::net::TcpStream;

use super::{Ftp, Patience, failure::Failure, trust::Trust};

pub(super) type Transfer = TransferStream<AsyncRustlsStream>;
pub(super) type Outcome<T> = Result<T, Failure>;

/// A control connection is silent as long as a transfer lasts; routers forget silent connections.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

pub(super) struct Session {
    ftp: AsyncRustlsFtpStream,
    patience: Patience,
    /// Set where the server doesn't know EPSV.
    plain_passive: bool,
}

/// Bytes to the server, or from it, at an offset.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    Store,
    Append,
    Retrieve,
}

pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = FtpResult<T>>) -> Outcome<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => Err(Failure::Silence(limit)),
    }
}

impl Session {
    /// Connects and waits for the greeting.
    pub async fn connect(host: &str, port: u16, patience: Patience) -> Outcome<Self> {
        let connect = async {
            let stream = TcpStream::connect((host, port)).await?;
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_IDLE);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            stream.set_nodelay(true)?;
            Ok::<_, Failure>(stream)
        };
        let stream = tokio::time::timeout(patience.command, connect).await;
        let stream = stream.map_err(|_| Failure::Silence(patience.command))??;
        let ftp = within(patience.command, AsyncRustlsFtpStream::connect_with_stream(stream)).await?;
        Ok(Self { ftp, patience, plain_passive: false })
    }

    pub async fn secure(self, trust: &Trust, host: &str) -> Outcome<Self> {
        let security = trust.security().map_err(|error| Failure::Tls(error.to_string()))?;
        let connector = AsyncRustlsConnector::from(tokio_rustls::TlsConnector::from(security.config));
        match within(self.patience.command, self.ftp.into_secure(connector, host)).await {
            Ok(ftp) => Ok(Self { ftp, ..self }),
            Err(Failure::Tls(why)) => Err(match security.refused.get() {
                Some(sha256) => Failure::Certificate { why, sha256: sha256.clone() },
                None => Failure::Tls(why),
            }),
            Err(failure) => Err(failure),
        }
    }

    /// Signs in, and asks for bytes as they are: the default, text, changes line ends.
    pub async fn login(&mut self, ftp: &Ftp) -> Outcome<()> {
        let password = ftp.config.password.expose_secret();
        within(self.patience.command, self.ftp.login(ftp.config.user.as_str(), password)).await?;
        within(self.patience.command, self.ftp.transfer_type(FileType::Binary)).await?;
        self.ftp.set_passive_nat_workaround(true);
        self.plain_passive = ftp.plain_passive();
        self.set_mode();
        Ok(())
    }

    fn set_mode(&mut self) {
        self.ftp.set_mode(if self.plain_passive { Mode::Passive } else { Mode::ExtendedPassive });
    }

    pub async fn size(&mut self, path: &str) -> Outcome<Option<u64>> {
        match within(self.patience.command, self.ftp.size(path)).await {
            Ok(size) => Ok(Some(size as u64)),
            Err(failure) if failure.code() == 550 => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Removes a file; true when there was one.
    pub async fn remove(&mut self, path: &str) -> Outcome<bool> {
        match within(self.patience.command, self.ftp.rm(path)).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.code() == 550 && self.size(path).await?.is_none() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Names of what a folder holds. Some servers give paths, some refuse to list a folder that is empty or not there.
    pub async fn list(&mut self, path: &str) -> Outcome<Vec<String>> {
        let limit = self.patience.stall;
        let listed = match within(limit, self.ftp.nlst(Some(path))).await {
            Err(failure) if !self.plain_passive && is_about_passive_mode(&failure) => {
                self.plain_passive = true;
                self.set_mode();
                within(limit, self.ftp.nlst(Some(path))).await
            }
            listed => listed,
        };
        let names = match listed {
            Err(failure) if matches!(failure.code(), 450 | 550) => return Ok(Vec::new()),
            listed => listed?,
        };
        let names = names.into_iter().map(|name| name.trim_end().rsplit('/').next().unwrap_or_default().to_owned());
        Ok(names.filter(|name| !matches!(name.as_str(), "" | "." | "..")).collect())
    }

    /// Makes the folders of a path. Servers refuse to make one that exists with many codes and words, so the answer
    /// is what they said of the first from which on none may be there: it matters only if writing there fails.
    pub async fn make_folders(&mut self, path: &str) -> Outcome<Option<Failure>> {
        let mut missing = None;
        for folder in super::name::folders(path) {
            missing = match within(self.patience.command, self.ftp.mkdir(folder)).await {
                Ok(()) => None,
                Err(failure) if !failure.is_reply() => return Err(failure),
                Err(failure) if failure.says_it_exists() => None,
                Err(failure) => missing.or(Some(failure)),
            };
        }
        Ok(missing)
    }

    /// Renames a file, into folders that are made if need be.
    pub async fn rename(&mut self, from: &str, to: &str) -> Outcome<()> {
        match within(self.patience.command, self.ftp.rename(from, to)).await {
            Err(failure) if failure.is_reply() => self.make_folders(to).await?,
            done => return done,
        };
        within(self.patience.command, self.ftp.rename(from, to)).await
    }

    /// Opens a data connection. Extended passive mode first (its data connection goes where the control connection
    /// goes); where the server or a router in between knows only the old one, that, with the address ignored.
    pub async fn transfer(&mut self, direction: Direction, path: &str, offset: u64) -> Outcome<Transfer> {
        let failure = match self.begin(direction, path, offset).await {
            Err(failure) if !self.plain_passive && is_about_passive_mode(&failure) => failure,
            done => return done,
        };
        self.plain_passive = true;
        self.set_mode();
        let done = self.begin(direction, path, offset).await;
        if let Err(second) = &done
            && second.is_unsupported()
            && failure.is_unsupported()
        {
            // Refused either way: it was not about the mode.
            self.plain_passive = false;
            self.set_mode();
        }
        done
    }

    async fn begin(&mut self, direction: Direction, path: &str, offset: u64) -> Outcome<Transfer> {
        let offset = usize::try_from(offset).map_err(|error| Failure::Garbled(error.to_string()))?;
        let ftp = &mut self.ftp;
        let begin = async {
            ftp.resume_transfer(offset).await?;
            match direction {
                Direction::Store => ftp.put_with_stream(path).await,
                Direction::Append => ftp.append_with_stream(path).await,
                Direction::Retrieve => ftp.retr_as_stream(path).await,
            }
        };
        within(self.patience.command, begin).await
    }

    /// Whether data connections had to be made in the old way.
    pub fn is_plain_passive(&self) -> bool {
        self.plain_passive
    }

    /// Ends a transfer and waits for the server's word on it.
    pub async fn finish(&self, transfer: Transfer, limit: Duration) -> Outcome<()> {
        within(limit, transfer.finish()).await
    }

    /// The reason of a transfer whose data connection broke: the server's where it gave one. The session is of no
    /// further use.
    pub async fn autopsy(&mut self, transfer: Transfer, broken: Failure) -> Failure {
        match within(self.patience.command, self.ftp.abort(transfer)).await {
            Err(said @ Failure::Reply { .. }) => said,
            _ => broken,
        }
    }

    /// Leaves politely; what the server says to it no longer matters.
    pub async fn quit(mut self) {
        let _ = within(self.patience.command, self.ftp.quit()).await;
    }
}

fn is_about_passive_mode(failure: &Failure) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    failure.is_unsupported() || matches!(failure, Failure::Connection(error) if refused(error))
}
