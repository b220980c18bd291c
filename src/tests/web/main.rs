//! The web server as clients meet it: real HTTP against a server on a free port, with the embedded database, archive
//! and queue, or with a database that cannot be reached.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access;
mod events;
mod harness;
mod known;
mod limits;
mod openapi;
mod preview;
mod reading;
mod rejects;
mod safety;
mod secure;
mod sending;
mod session;
mod tus;
