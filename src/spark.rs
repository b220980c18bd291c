//! One upload on a cluster: Apache Spark schedules, shuffles and sorts, and all that happens to rows is this program's
//! own, run by Spark as a command (`SELECT TRANSFORM`) on the executors.
//!
//! `userdata spark-clean` reads one chunk of the upload (a segment of the index), cleans it with the functions that
//! every worker cleans with, and writes its rows as text, each with the key of its id range. Spark brings the rows of a
//! range together, sorted by id and line, and `userdata spark-part` makes one run file of them, a *part*, in the
//! archive. What the two say they did is collected by the worker that holds the claim; it must add up (`manifest`)
//! before the ledger accepts the parts as the upload's ranges. From there on Spark is not needed: the load is that of
//! any upload.
//!
//! An executor may die at any point, and Spark may run a task twice. So whatever tasks leave behind has names of its
//! own (`name`), and counts only if the accepted manifest names it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rows::RULES;

pub mod clean;
pub mod complaint;
#[cfg(feature = "spark")]
pub mod connect;
pub mod keys;
pub mod manifest;
pub mod name;
pub mod part;
pub mod sample;
mod scratch;
pub mod sql;
pub mod task;
mod text;

/// What must be the same in every process of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    program: String,
    rules: u32,
    text: u32,
}

/// Changes with the form of tasks, of the text between them, and of what they say they did.
const TEXT: u32 = 1;

impl Version {
    /// Of this program.
    pub fn own() -> Self {
        Self { program: env!("CARGO_PKG_VERSION").into(), rules: RULES, text: TEXT }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "userdata {} (row rules {}, form {})", self.program, self.rules, self.text)
    }
}
