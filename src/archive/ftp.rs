//! The archive on an FTP server, with or without TLS. One login an operation: servers hand out only a few TLS
//! sessions a login, and a connection that waits between files is one that breaks.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;

use self::{failure::Failure, session::Session, trust::Trust};
use super::{Archive, name};
use crate::{
    config::{self, FtpTls},
    error::{Error, Result, Service},
    meter::Meter,
    source::{Bytes, Source},
};

mod download;
mod failure;
mod session;
mod trust;
mod upload;

/// How long the server may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Connecting, and each command.
    pub command: Duration,
    /// Between two moves of a transfer's bytes.
    pub stall: Duration,
    /// Between a transfer's last byte and the server's word that it has it: it may have 50 GB to bring to disk.
    pub completion: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (command, stall, completion) = (20, 60, 600);
        Self {
            command: Duration::from_secs(command),
            stall: Duration::from_secs(stall),
            completion: Duration::from_secs(completion),
        }
    }
}

pub struct Ftp {
    config: config::Ftp,
    /// Where the connection is to be encrypted; nothing falls back to sending in the clear.
    trust: Option<Trust>,
    patience: Patience,
    plain_passive: AtomicBool,
}

impl Ftp {
    /// Connects to nothing yet. `Fatal` where what it is to trust can't be read.
    pub fn new(config: config::Ftp) -> Result<Self> {
        Self::with_patience(config, Patience::default())
    }

    pub fn with_patience(config: config::Ftp, patience: Patience) -> Result<Self> {
        let trust = match config.tls {
            FtpTls::Off => None,
            FtpTls::Explicit => Some(Trust::new(&config)?),
        };
        Ok(Self { config, trust, patience, plain_passive: AtomicBool::new(false) })
    }

    fn plain_passive(&self) -> bool {
        self.plain_passive.load(Ordering::Relaxed)
    }

    /// A file's path on the server, relative to the login's folder.
    fn path(&self, file: &str) -> Result<String> {
        name::check(file)?;
        let folder = self.config.path.trim_matches('/');
        Ok(if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") })
    }

    async fn session(&self) -> Result<Session> {
        let config::Ftp { host, port, user, .. } = &self.config;
        let connected = Session::connect(host, *port, self.patience).await;
        let unreachable = |failure| {
            let error = Error::unavailable(Service::Archive, format!("connecting to {}", self.name()));
            self.explained(error, failure)
        };
        let mut session = connected.map_err(unreachable)?;
        if let Some(trust) = &self.trust {
            let secured = session.secure(trust, host).await;
            session = secured.map_err(|failure| self.error("securing the connection", failure))?;
        }
        let in_ = session.login(self).await;
        in_.map_err(|failure| self.error(&format!("signing in as {user}"), failure))?;
        Ok(session)
    }

    /// What time or an operator can put right.
    fn error(&self, doing: &str, failure: Failure) -> Error {
        let error = Error::unavailable(Service::Archive, format!("{doing} on {}", self.name()));
        self.explained(error, failure)
    }

    fn explained(&self, error: Error, failure: Failure) -> Error {
        let next = failure.next(self.trust.is_some());
        let error = error.because(failure);
        if let Some(next) = next { error.next(next) } else { error }
    }
}

#[async_trait]
impl Archive for Ftp {
    fn name(&self) -> String {
        format!("the FTP server at {}:{}", self.config.host, self.config.port)
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        let path = self.path(file)?;
        let mut session = self.session().await?;
        let size = session.size(&path).await.map_err(|failure| self.error(&format!("looking for {file}"), failure))?;
        session.quit().await;
        Ok(size)
    }

    async fn store(&self, temp: &str, file: &str, content: &dyn Source, meter: &Meter) -> Result<()> {
        upload::Upload::new(self, temp, file, content, meter).await?.store().await
    }

    async fn adopt(&self, left: &str, temp: &str) -> Result<bool> {
        let (from, to) = (self.path(left)?, self.path(temp)?);
        let wrong = |failure| self.error(&format!("going on with {left}"), failure);
        let mut session = self.session().await?;
        let there = session.size(&from).await.map_err(wrong)?.is_some();
        if there {
            session.rename(&from, &to).await.map_err(wrong)?;
        }
        session.quit().await;
        Ok(there)
    }

    async fn store_beside(&self, temp: &str, file: &str, content: &dyn Source) -> Result<()> {
        upload::Upload::new(self, temp, file, content, &Meter::default()).await?.replace().await
    }

    async fn open(&self, file: &str, offset: u64) -> Result<Bytes> {
        download::open(self, file, offset).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder)?;
        let mut session = self.session().await?;
        let names = session.list(&path).await.map_err(|failure| self.error(&format!("listing {folder}"), failure))?;
        session.quit().await;
        Ok(names)
    }

    async fn remove(&self, file: &str) -> Result<bool> {
        let path = self.path(file)?;
        let mut session = self.session().await?;
        let removed =
            session.remove(&path).await.map_err(|failure| self.error(&format!("removing {file}"), failure))?;
        session.quit().await;
        Ok(removed)
    }

    async fn check(&self) -> Result<()> {
        super::try_out(self).await
    }
}
