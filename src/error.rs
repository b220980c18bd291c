//! The one error type. A kind says what to do about it, `doing` says what was being done and where, and the
//! source says why. The chain is printed once, at the edge: a log line, an HTTP problem, the end of a command.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Try again later: a service cannot be reached, or refuses until an operator has put something right.
    Transient,
    /// The sender's fault: tell them, change nothing.
    Rejected,
    /// Cannot go on: while starting the process stops; inside a job the attempt ends and counts.
    Fatal,
    /// The claim belongs to someone else by now: stop, write nothing more.
    Lost,
    /// Asked to stop (shutdown or cancellation): hand back what is held.
    Stopped,
}

/// The services that an upload may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    Queue,
    Archive,
    Store,
    /// Where the bytes of an upload are: a file, or the server that took it.
    Source,
    /// The disk of the spool or of the work folder.
    Disk,
    /// The cluster that large uploads are done by.
    Spark,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "the queue",
            Self::Archive => "the archive",
            Self::Store => "the database",
            Self::Source => "its file",
            Self::Disk => "free disk space",
            Self::Spark => "Spark",
        })
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error with its kind. `Display` gives the whole chain in one line, each part once.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// Stable, for programs: `column_not_found`, `archive_unreachable`.
    pub code: &'static str,
    /// What was being done, with the place: "storing 2026/11/x.csv on the FTP server at 10.0.0.7:21".
    pub doing: String,
    /// What the reader can do about it, one sentence.
    pub next: Option<String>,
    /// Which service a `Transient` error waits for.
    pub service: Option<Service>,
    pub source: Option<Source>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, code: &'static str, doing: impl Into<String>) -> Self {
        Self { kind, code, doing: doing.into(), next: None, service: None, source: None }
    }

    /// A service cannot be reached or refuses; the upload waits for it.
    pub fn unavailable(service: Service, doing: impl Into<String>) -> Self {
        let code = match service {
            Service::Queue => "queue_unavailable",
            Service::Archive => "archive_unavailable",
            Service::Store => "store_unavailable",
            Service::Source => "source_unavailable",
            Service::Disk => "disk_full",
            Service::Spark => "spark_unavailable",
        };
        Self { service: Some(service), ..Self::new(Kind::Transient, code, doing) }
    }

    pub fn rejected(code: &'static str, doing: impl Into<String>) -> Self {
        Self::new(Kind::Rejected, code, doing)
    }

    pub fn fatal(code: &'static str, doing: impl Into<String>) -> Self {
        Self::new(Kind::Fatal, code, doing)
    }

    pub fn lost(doing: impl Into<String>) -> Self {
        Self::new(Kind::Lost, "claim_lost", doing)
    }

    pub fn stopped(doing: impl Into<String>) -> Self {
        Self::new(Kind::Stopped, "stopped", doing)
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The chain and what to do about it, in one line: for logs, and for who waits.
    pub fn with_next(&self) -> String {
        match &self.next {
            Some(next) => format!("{self}; next: {next}"),
            None => self.to_string(),
        }
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        let mut said = self.doing.clone();
        let mut cause = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_told_once() {
        let inner = std::io::Error::other("530 Login incorrect");
        let error = Error::unavailable(Service::Archive, "signing in on ftp://10.0.0.7:21").because(inner);
        assert_eq!(error.to_string(), "signing in on ftp://10.0.0.7:21: 530 Login incorrect");
        assert_eq!(error.with_next(), error.to_string());
        let error = error.next("set archive.ftp.password");
        assert!(error.with_next().ends_with("530 Login incorrect; next: set archive.ftp.password"));
    }
}
