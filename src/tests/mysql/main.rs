//! What only MySQL and MariaDB can do wrong: the counts of their statements, their connections, their old tables. Each
//! test runs on both. The contract that all databases keep is told in `contract`.

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod connections;
mod failures;
mod join;
mod ledger;
mod order;
mod rows;
mod schema;
mod server;

/// Each test as two, with a database of its own.
macro_rules! on_both {
    ($($test:ident)*) => { $crate::on_each! { read $($test)* } };
}

/// The same for tests that nobody else may disturb: they change or count something of the whole server.
macro_rules! alone_on_both {
    ($($test:ident)*) => { mod alone { use super::*; $crate::on_each! { write $($test)* } } };
}

macro_rules! on_each {
    ($access:ident $($test:ident)*) => {
        mod mysql { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let _turn = crate::server::SETTINGS.$access().await;
                super::$test(crate::server::Server::mysql()).await
            }
        )* }
        mod mariadb { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let _turn = crate::server::SETTINGS.$access().await;
                super::$test(crate::server::Server::mariadb()).await
            }
        )* }
    };
}
pub(crate) use {alone_on_both, on_both, on_each};
