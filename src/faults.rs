//! Ways to break the program on purpose, for the fault tests; only in builds with the feature `faults`. Chosen by the
//! environment variable `USERDATA_FAULT`, several of them with `;` between:
//!
//! - `drop-block`: a merge of the first id range leaves out the first block of a run.
//! - `die-on-row:ID`: the process aborts when cleaning reaches a row with this id.
//! - `small-transactions`: a load commits after a few rows, so that small files have ranges of several transactions.
//! - `small-segments`: a file is cut after a few kilobytes, so that small files have run files.
//! - `mark`: every point that is passed is logged as "at POINT".
//! - `hold:POINT:FILE`: whoever comes to this point logs "held at POINT" and waits as long as FILE is there, so that a
//!   signal meets the process exactly there; `hold:POINT*N:FILE` only whoever comes there as the N-th. The points, in
//!   a file's order:
//!   `on-disk` (received, not in the ledger), `claimed`, `transfer` (some bytes are in the archive), `renamed` (all
//!   are, under their name), `archived` (the ledger says so), `cleaning` (nothing read yet), `row` (each good row, while
//!   cleaning), `spark` (the cluster is about to be asked), `collected` (it has answered, and nothing is accepted),
//!   `chunk` (one more of the original's chunks has its name), `cleaned` (nothing split yet), `rejects` (they are in the
//!   archive), `split` (nothing stored yet), `transaction` (rows put, not committed), `loading` (committed in
//!   mid-range), `finish` (all stored, not `done`), `done` (no receipt in the archive).

use std::{
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::warn;

static FAULTS: LazyLock<String> = LazyLock::new(|| std::env::var("USERDATA_FAULT").unwrap_or_default());
static HOLDS: LazyLock<Vec<Hold>> = LazyLock::new(|| chosen().filter_map(Hold::read).collect());

/// How often a held process looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(10);

fn chosen() -> impl Iterator<Item = &'static str> {
    FAULTS.split(';')
}

struct Hold {
    point: &'static str,
    /// Only the one who comes there as this one, counted from 1.
    nth: Option<u64>,
    file: &'static Path,
    came: AtomicU64,
}

impl Hold {
    fn read(fault: &'static str) -> Option<Self> {
        let (point, file) = fault.strip_prefix("hold:")?.split_once(':')?;
        let (point, nth) = match point.split_once('*') {
            Some((point, nth)) => (point, Some(nth.parse().ok()?)),
            None => (point, None),
        };
        Some(Self { point, nth, file: Path::new(file), came: AtomicU64::new(0) })
    }

    /// Whoever has come to `point` now has to wait for this file to go.
    fn of(point: &str) -> Option<&'static Path> {
        let hold = HOLDS.iter().find(|hold| hold.point == point)?;
        let came = hold.came.fetch_add(1, Ordering::SeqCst) + 1;
        (hold.nth.is_none_or(|nth| nth == came) && hold.file.exists()).then_some(hold.file)
    }
}

/// Whether a merge shall leave out a block.
pub fn drop_block() -> bool {
    chosen().any(|fault| fault == "drop-block")
}

/// Whether a load shall commit after a few rows.
pub fn small_transactions() -> bool {
    chosen().any(|fault| fault == "small-transactions")
}

/// Whether files shall be cut into small segments.
pub fn small_segments() -> bool {
    chosen().any(|fault| fault == "small-segments")
}

/// Cleaning has reached the row with this id. Blocking.
pub fn reached(id: &str) {
    if chosen().any(|fault| fault.strip_prefix("die-on-row:") == Some(id)) {
        std::process::abort();
    }
    let Some(file) = Hold::of("row") else { return };
    warn!("held at row");
    while file.exists() {
        std::thread::sleep(LOOK_EVERY);
    }
    warn!("let go at row");
}

/// The process has come to a point; see above.
pub async fn hold(point: &str) {
    if chosen().any(|fault| fault == "mark") {
        warn!("at {point}");
    }
    let Some(file) = Hold::of(point) else { return };
    warn!("held at {point}");
    while file.exists() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    warn!("let go at {point}");
}
