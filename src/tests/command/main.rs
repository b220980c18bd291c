//! The built executable as a person or a script sees it: exit codes, both streams, what is written where.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod configuration;
mod generated;
mod run;
mod spark;
mod uploads;
