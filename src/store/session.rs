//! What the ledger needs of a database: statements with `?` parameters, in a transaction. The ledger's protocol is
//! written once over this; MySQL and SQLite each provide it.

use async_trait::async_trait;

use crate::{
    error::Result,
    rows::{Existing, UserBlock},
};

/// A parameter or a column. Text and bytes are kept apart: text is valid UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

pub type Row = Vec<Value>;

/// A database that keeps a ledger.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    /// For messages: "MySQL at 10.0.0.6:3306, database userdb".
    fn name(&self) -> String;

    /// An SQL expression: the database's present time in epoch milliseconds, an integer.
    fn now_ms(&self) -> &'static str;

    /// Begins a read-write transaction (SQLite: `BEGIN IMMEDIATE`; MySQL: READ COMMITTED). The session used for
    /// heartbeats is of its own, so that they never queue behind loads: `Lane::Heartbeat`.
    async fn begin(&self, lane: Lane) -> Result<Box<dyn Session>>;

    /// One statement that reads, outside of any transaction.
    async fn read(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>>;

    /// See `Store::init`.
    async fn init(&self, migrate: bool) -> Result<Vec<String>>;

    /// See `Store::schema`.
    fn schema(&self) -> String;

    /// See `Store::check_table`.
    async fn check_table(&self) -> Result<()>;
}

/// What became of the users of one block; the others were there already and stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    pub inserted: u64,
    pub replaced: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Work,
    /// What would be done again after a power cut that undid it: SQLite does not wait for the disk. Of a registration
    /// the spool knows all.
    Note,
    Heartbeat,
}

/// An open transaction; dropped without `commit` it is rolled back.
#[async_trait]
pub trait Session: Send {
    /// Runs a statement, gives the number of rows it changed.
    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64>;

    /// Runs a statement that reads. One that ends in ` for update` locks its rows; a database whose transactions
    /// exclude each other anyway leaves these words out.
    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>>;

    /// Stores users (ascending ids, each once) in the user table, as `existing` says. What the server reports is
    /// checked against what was sent; a difference that another writer explains is settled inside this transaction
    /// or is `Transient` (do the transaction again), any other is `Fatal`.
    async fn store_users(&mut self, users: UserBlock, existing: Existing) -> Result<Applied>;

    /// Durable when it returns. On a lost answer the outcome is unknown (`Transient`).
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// The code of the error that `execute` gives when a unique key exists already.
pub const DUPLICATE_KEY: &str = "duplicate_key";
