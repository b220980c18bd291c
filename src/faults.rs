//! Ways to break the program on purpose, for the fault tests; only in builds with the feature `faults`. Chosen by the
//! environment variable `USERDATA_FAULT`:
//!
//! - `drop-block`: a merge of the first id range leaves out the first block of a run.
//! - `die-on-row:ID`: the process aborts when cleaning reaches a row with this id.

use std::sync::LazyLock;

static FAULT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("USERDATA_FAULT").ok());

/// Whether a merge shall leave out a block.
pub fn drop_block() -> bool {
    FAULT.as_deref() == Some("drop-block")
}

/// Cleaning has reached the row with this id.
pub fn reached(id: &str) {
    if FAULT.as_deref().and_then(|fault| fault.strip_prefix("die-on-row:")) == Some(id) {
        std::process::abort();
    }
}
