//! One transaction, and how values travel. After any error but an existing key the transaction is over: MySQL may
//! have rolled it back (a deadlock), and a statement after that would stand alone.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mysql_async::{
    Error as Driver,
    consts::{ColumnFlags, ColumnType},
};

use super::{
    STORE_LIMIT, Server,
    connections::{Held, Reply, Statement},
    failure,
};
use crate::{
    error::{Error, Result},
    rows::{Existing, UserBlock},
    store::session::{Applied, DUPLICATE_KEY, Row, Session, Value},
};

pub struct MySqlSession {
    held: Held,
    pub server: Arc<Server>,
    /// For one statement of the ledger.
    limit: Duration,
    ended: bool,
    /// Whether the last look into the table found its rows between those that were to be added.
    pub between: Option<bool>,
    /// Whether the user table has columns beside ours, once it was asked.
    pub other_columns: Option<bool>,
}

impl MySqlSession {
    pub fn new(held: Held, server: Arc<Server>, limit: Duration) -> Self {
        Self { held, server, limit, ended: false, between: None, other_columns: None }
    }

    async fn run(&mut self, statement: Statement<'_>, doing: &str) -> Result<Reply> {
        self.check_open(doing)?;
        let reply = self.held.run(statement, self.limit).await;
        reply.map_err(|error| self.ended(failure::explain(error, doing, &self.server.place)))
    }

    /// For a statement that carries users; a refusal of this very statement leaves the transaction open.
    pub async fn run_users(&mut self, statement: Statement<'_>) -> Result<Reply, Driver> {
        self.held.run(statement, STORE_LIMIT).await
    }

    pub fn check_open(&self, doing: &str) -> Result<()> {
        if self.ended {
            let doing = format!("{doing} on {}: an earlier error has ended the transaction", self.server.place);
            return Err(Error::fatal("transaction_ended", doing));
        }
        Ok(())
    }

    /// Nothing more is done in this transaction.
    pub fn ended(&mut self, error: Error) -> Error {
        self.ended = error.code != DUPLICATE_KEY;
        error
    }
}

#[async_trait]
impl Session for MySqlSession {
    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64> {
        let statement = Statement::Prepared(sql, sent(parameters));
        Ok(self.run(statement, "writing the ledger").await?.affected)
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        let statement = Statement::Prepared(sql, sent(parameters));
        received(self.run(statement, "reading the ledger").await?.rows)
    }

    async fn store_users(&mut self, users: UserBlock, existing: Existing) -> Result<Applied> {
        self.store(&Arc::new(users), existing).await
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.check_open("committing")?;
        let committed = self.held.commit(self.limit).await;
        committed.map_err(|error| failure::explain(error, "committing", &self.server.place))
    }
}

pub fn sent(parameters: &[Value]) -> Vec<mysql_async::Value> {
    let value = |parameter: &Value| match parameter {
        Value::Null => mysql_async::Value::NULL,
        Value::Int(number) => mysql_async::Value::Int(*number),
        Value::Text(text) => mysql_async::Value::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => mysql_async::Value::Bytes(bytes.clone()),
    };
    parameters.iter().map(value).collect()
}

pub fn received(rows: Vec<mysql_async::Row>) -> Result<Vec<Row>> {
    rows.into_iter().map(received_row).collect()
}

fn received_row(row: mysql_async::Row) -> Result<Row> {
    let columns = row.columns();
    let values = row.unwrap().into_iter().zip(columns.iter());
    values.map(|(value, column)| received_value(value, column)).collect()
}

fn received_value(value: mysql_async::Value, column: &mysql_async::Column) -> Result<Value> {
    let unexpected = |what: &str| {
        let name = column.name_str();
        Err(Error::fatal("store_failed", format!("reading column {name} of the ledger: {what}")))
    };
    match value {
        mysql_async::Value::NULL => Ok(Value::Null),
        mysql_async::Value::Int(number) => Ok(Value::Int(number)),
        mysql_async::Value::UInt(number) => match i64::try_from(number) {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => unexpected("the number is too large"),
        },
        mysql_async::Value::Bytes(bytes) if is_binary(column) => Ok(Value::Bytes(bytes)),
        mysql_async::Value::Bytes(bytes) => {
            let Ok(text) = String::from_utf8(bytes) else { return unexpected("the text is not UTF-8") };
            // SUM gives a DECIMAL, which travels as text.
            let whole = matches!(column.column_type(), ColumnType::MYSQL_TYPE_NEWDECIMAL).then(|| text.parse());
            Ok(whole.and_then(Result::ok).map_or(Value::Text(text), Value::Int))
        }
        _ => unexpected("its type is neither integer, text nor bytes"),
    }
}

fn is_binary(column: &mysql_async::Column) -> bool {
    // Character set 63 is "binary"; numbers have it too.
    let number = matches!(column.column_type(), ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_JSON);
    column.character_set() == 63 && !number && column.flags().contains(ColumnFlags::BINARY_FLAG)
}
