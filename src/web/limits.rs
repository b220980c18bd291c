//! How much is done at once: uploads that arrive, connections, and the open files that both take. And how long requests
//! are waited for.

use std::time::Duration;

use axum::http::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::{debug, warn};

use crate::config;

use super::{Context, errors::Problem};

/// Open files beside those of connections and arriving uploads: databases, archive, queue, logs, run files.
const OTHER_FILES: u64 = 512;

impl Context {
    /// The right to receive an upload, until it is dropped. 503 where as many arrive as may.
    pub(super) fn upload_slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.upload_slots.clone().try_acquire_owned().map_err(|_| {
            let most = self.config.server.max_uploads_at_once;
            let text = format!("{most} uploads are arriving already, the most that this server takes at once");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_uploads", text)
                .next("send it again in a minute; an operator may raise server.max_uploads_at_once")
        })
    }

    /// For a connection's first request, and for the whole body of one that is no upload: as long as an upload may be
    /// silent.
    pub(super) fn patience(&self) -> Duration {
        self.receiver.pace.unwrap_or_default().idle
    }
}

/// Ends when something has not come in time; never where it has.
pub(super) async fn overdue(patience: Duration, comes: impl Future) {
    if timeout(patience, comes).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Raises the soft limit of open files to the hard one; gives how many connections fit below it beside the uploads.
pub(super) fn connections(server: &config::Server) -> usize {
    let limit = raise_open_files();
    let (wanted, uploads) = (server.max_connections as u64, server.max_uploads_at_once as u64);
    // Each upload has its file, each connection its socket.
    let beside = uploads.min(wanted) + OTHER_FILES;
    if limit >= wanted.saturating_add(beside) {
        return server.max_connections;
    }
    // Half for uploads' files where the limit is as low as that.
    let fit = limit.saturating_sub(beside).max(limit / 2);
    warn!(
        open_files = limit,
        max_connections = wanted,
        connections = fit,
        "the limit of open files is too low for max_connections: fewer are taken; raise it (LimitNOFILE=, ulimit -Hn)"
    );
    usize::try_from(fit).unwrap_or(usize::MAX)
}

fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            debug!(%error, "the soft limit of open files stays as it is");
            current.unwrap_or(u64::MAX)
        }
    }
}
