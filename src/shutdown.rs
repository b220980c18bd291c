//! Stopping, and the talk with systemd: the first signal asks every task to end, the second ends the process.

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    command::Exit,
    error::{Error, Result},
};

/// Watches for SIGTERM and SIGINT from here on. The first cancels the token; the second leaves at once: what was
/// claimed is then taken over when its lease has run out.
pub fn on_signals() -> Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let first = stop.clone();
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        info!(signal = name, "stopping; a second signal leaves at once");
        notify(&[NotifyState::Stopping]);
        first.cancel();
        let name = either(&mut terminate, &mut interrupt).await;
        warn!(signal = name, "leaving at once");
        std::process::exit(Exit::Later.code().into());
    });
    Ok(stop)
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::fatal("signals", "listening for signals").because(error))
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// Tells systemd that this process is ready, and from then on, while the async runtime lives, that it does: also
/// while stopping, for which systemd has a deadline of its own. Without systemd it does nothing.
pub fn ready() {
    notify(&[NotifyState::Ready]);
    // Half the time that systemd waits, as sd_watchdog_enabled(3) advises.
    if let Some(pause) = sd_notify::watchdog_enabled().map(|patience| patience / 2) {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                notify(&[NotifyState::Watchdog]);
            }
        });
    }
}

fn notify(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd could not be told");
    }
}
