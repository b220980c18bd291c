//! Ways to break the program on purpose, for the fault tests; only in builds with the feature `faults`. Chosen by the
//! environment variable `USERDATA_FAULT`, several of them with `;` between:
//!
//! - `drop-block`: a merge of the first id range leaves out the first block of a run.
//! - `die-on-row:ID`: the process aborts when cleaning reaches a row with this id.
//! - `small-transactions`: a load commits after a few rows, so that small files have ranges of several transactions.
//! - `hold:POINT:FILE`: whoever comes to this point logs "held at POINT" and waits as long as FILE is there, so that a
//!   signal meets the process exactly there. The points, in a file's order:
//!   `on-disk` (received, not in the ledger), `claimed`, `transfer` (some bytes are in the archive), `archived`,
//!   `cleaned` (nothing split yet), `transaction` (rows put, not committed), `loading` (committed in mid-range),
//!   `finish` (all stored, not `done`), `done` (no receipt in the archive).

use std::{path::Path, sync::LazyLock, time::Duration};

use tracing::warn;

static FAULTS: LazyLock<String> = LazyLock::new(|| std::env::var("USERDATA_FAULT").unwrap_or_default());

fn chosen() -> impl Iterator<Item = &'static str> {
    FAULTS.split(';')
}

/// Whether a merge shall leave out a block.
pub fn drop_block() -> bool {
    chosen().any(|fault| fault == "drop-block")
}

/// Whether a load shall commit after a few rows.
pub fn small_transactions() -> bool {
    chosen().any(|fault| fault == "small-transactions")
}

/// Cleaning has reached the row with this id.
pub fn reached(id: &str) {
    if chosen().any(|fault| fault.strip_prefix("die-on-row:") == Some(id)) {
        std::process::abort();
    }
}

/// The process has come to a point; see above.
pub async fn hold(point: &str) {
    let of_point = |fault: &'static str| fault.strip_prefix("hold:")?.strip_prefix(point)?.strip_prefix(':');
    let Some(file) = chosen().find_map(of_point).map(Path::new) else { return };
    if !file.exists() {
        return;
    }
    warn!("held at {point}");
    while file.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    warn!("let go at {point}");
}
