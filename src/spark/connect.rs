//! The client of Spark Connect: one statement, watched while it runs. Calls try again by themselves for minutes; what is
//! waited for here is their answer, or a reason to give the job up.

mod call;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::{complaint, manifest::Collected};
use crate::{
    error::{Error, Result, Service},
    meter::Meter,
};
use call::{Refusal, Session, shown};

/// Where Connect listens, if the address does not say.
const PORT: u16 = 15002;
const CONNECT: Duration = Duration::from_secs(5);
/// Between two looks at a running job.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks in a row at which the server could not be reached, before the job is given up.
const MISSES_MAX: u32 = 3;
/// `Code` of gRPC.
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// A Connect server.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `sc://host:port`, perhaps with parameters.
    pub address: String,
    pub token: Option<SecretString>,
}

/// One job.
pub struct Job {
    /// The same for every attempt at an upload: so a later one can end what an earlier one left running.
    pub session: Uuid,
    pub tag: String,
    pub sql: String,
    /// Chunks: tasks of the first stage.
    pub chunks: usize,
    /// Of all stages.
    pub tasks: u64,
    /// How long it may show no progress.
    pub timeout: Duration,
}

impl Remote {
    /// An error, service `Spark`, unless something accepts connections there.
    pub async fn reach(&self) -> Result<()> {
        let (host, port) = self.place();
        let why = match tokio::time::timeout(CONNECT, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
        };
        Err(self.unavailable(why))
    }

    fn unavailable(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let (host, port) = self.place();
        Error::unavailable(Service::Spark, format!("connecting to the Spark Connect server at {host}:{port}"))
            .because(why)
            .next("see whether it runs, and spark.remote; or set spark.fallback = \"worker\"")
    }

    fn place(&self) -> (String, u16) {
        let rest = self.address.strip_prefix("sc://").unwrap_or(&self.address);
        let authority = rest.split(['/', ';', '?']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(PORT)),
            _ => (authority, PORT),
        };
        (host.trim_matches(['[', ']']).to_owned(), port)
    }

    /// With what must not be shown.
    fn url(&self, session: Uuid) -> String {
        let parameters = if self.address.contains("/;") { "" } else { "/" };
        let address = self.address.trim_end_matches('/');
        let mut url = format!("{address}{parameters};user_id=userdata;session_id={session}");
        if let Some(token) = &self.token {
            let escaped = token.expose_secret().bytes().map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            });
            url.push_str(";token=");
            url.extend(escaped);
        }
        url
    }

    /// Runs a job to its end. Tasks done are shown on `meter`, which counts `job.tasks`.
    ///
    /// `Transient`, service `Spark`: the server cannot be reached or refuses, or the job showed no progress. Any other
    /// service: an executor waits for it. `Stopped`: `stop` was cancelled, and the job interrupted.
    pub async fn run(&self, job: Job, meter: &Meter, stop: &CancellationToken) -> Result<Collected> {
        let session = match Session::open(&self.url(job.session)).await {
            Ok(session) => session,
            Err(refusal) => return self.meant(Err(refusal)).await,
        };
        let progress = AtomicU64::new(0);
        let given_up = tokio::select! {
            answered = session.execute(&job, meter, &progress) => return self.meant(answered).await,
            () = stop.cancelled() => Error::stopped("running a Spark job"),
            why = self.watch(&progress, job.timeout) => why,
        };
        session.interrupt(&job.tag).await;
        Err(given_up)
    }

    /// Ends with a reason to give the job up.
    async fn watch(&self, progress: &AtomicU64, timeout: Duration) -> Error {
        let (mut seen, mut since, mut misses, mut warned) = (0, Instant::now(), 0, false);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = progress.load(Ordering::Relaxed);
            if now != seen {
                (seen, since, warned) = (now, Instant::now(), false);
            }
            if !warned && since.elapsed() > timeout / 4 {
                let (waited_s, limit_s) = (since.elapsed().as_secs(), timeout.as_secs());
                warn!(
                    waited_s,
                    limit_s, "no task of the Spark job began or ended: has the cluster executors that are free?"
                );
                warned = true;
            }
            if since.elapsed() > timeout {
                let doing = format!("the Spark job showed no progress for {} s", timeout.as_secs());
                return Error::unavailable(Service::Spark, doing)
                    .next("see whether the cluster has executors that are free; or raise spark.timeout_s");
            }
            match self.reach().await {
                Ok(()) => misses = 0,
                Err(error) => {
                    misses += 1;
                    if misses >= MISSES_MAX {
                        return error;
                    }
                }
            }
        }
    }

    /// What an answer means.
    async fn meant(&self, answered: Result<Collected, Refusal>) -> Result<Collected> {
        let error = match answered {
            Ok(collected) => return Ok(collected),
            Err(Refusal::Ours(error)) => return Err(error),
            Err(Refusal::Spark(error)) => error,
        };
        let words = error.message();
        if let Some(complaint) = complaint::found(&words) {
            return Err(complaint);
        }
        let lost = ["h2 protocol error", "transport error", "INVALID_HANDLE", "SESSION_CHANGED", "OPERATION_CANCELED"];
        match error.grpc_code() {
            Some(UNAUTHENTICATED | PERMISSION_DENIED) => {
                Err(self.unavailable(shown(&words)).next("set spark.token to the one that the server was started with"))
            }
            Some(UNAVAILABLE) => Err(self.unavailable(shown(&words))),
            _ if lost.iter().any(|lost| words.contains(lost)) => Err(self.unavailable(shown(&words))),
            _ => {
                // A server that died in the middle of a job says so in many ways.
                self.reach().await?;
                Err(Error::fatal("spark_job", "the Spark job failed")
                    .because(shown(&words))
                    .next("see Spark's log of the job, and whether spark.command runs on every executor"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(address: &str, token: Option<&str>) -> Remote {
        Remote { address: address.into(), token: token.map(Into::into) }
    }

    #[test]
    fn an_address_may_leave_out_its_port_and_have_parameters() {
        for (address, host, port) in [
            ("sc://spark:7", "spark", 7),
            ("sc://spark", "spark", 15002),
            ("sc://[::1]", "::1", 15002),
            ("sc://[::1]:7/;use_ssl=true", "::1", 7),
            ("sc://spark/;use_ssl=true", "spark", 15002),
        ] {
            assert_eq!(remote(address, None).place(), (host.to_owned(), port), "{address}");
        }
    }

    #[test]
    fn token_and_session_are_parameters_of_the_address() {
        let session = Uuid::nil();
        let id = format!(";user_id=userdata;session_id={session}");
        assert_eq!(remote("sc://a:1", None).url(session), format!("sc://a:1/{id}"));
        assert_eq!(remote("sc://a:1/", Some("x;y=%")).url(session), format!("sc://a:1/{id};token=x%3By%3D%25"));
        let parameters = "sc://a:1/;use_ssl=true";
        assert_eq!(remote(parameters, None).url(session), format!("{parameters}{id}"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_waited_for() {
        let error = remote("sc://127.0.0.1:1", None).reach().await.unwrap_err();
        assert_eq!(error.service, Some(Service::Spark));
        assert!(error.to_string().starts_with("connecting to the Spark Connect server at 127.0.0.1:1: "), "{error}");
    }
}
