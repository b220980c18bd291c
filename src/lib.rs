//! `userdata` takes CSV files of users, keeps them safely, archives them, cleans every row and stores each id once.

pub mod announcement;
pub mod archive;
pub mod cli;
pub mod command;
pub mod config;
pub mod error;
pub mod example;
#[cfg(feature = "faults")]
pub mod faults;
pub mod load;
pub mod logging;
pub mod meter;
pub mod pipeline;
pub mod queue;
pub mod receipt;
pub mod rows;
pub mod shutdown;
pub mod source;
pub mod spool;
pub mod store;
pub mod upload;
pub mod web;
