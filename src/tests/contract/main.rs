//! The contracts, kept by every backend: one entry a trait, the whole of it on each, embedded and networked alike.
//! Addresses of services come from the environment (`compose/services env`); without them these tests fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod archive;
mod queue;
mod store;

/// What `compose/services env` says of a service.
fn service(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `compose/services run -- cargo test` or see its `env`"))
}
