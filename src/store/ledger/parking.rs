//! The messages that the local queue could not understand and set aside.

use super::{
    transaction::Transaction,
    value::{self, Columns},
};
use crate::{
    error::Result,
    queue::Parked,
    store::session::{Database, Lane, Row, Value},
};

pub(super) async fn park(db: &dyn Database, message: &Parked) -> Result<()> {
    let sql = "insert into userdata_parked (at_ms, value, reason, position, size) values ({now}, ?, ?, ?, ?)";
    let parameters = [
        value::maybe_bytes(message.value.as_deref()),
        value::text(&message.reason),
        value::text(&message.position),
        value::count(message.size as u64),
    ];
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    transaction.execute(sql, &parameters).await?;
    transaction.commit().await
}

pub(super) async fn parked(db: &dyn Database, limit: u32) -> Result<Vec<Parked>> {
    let sql = "select value, reason, position, size from userdata_parked order by seq limit ?";
    db.read(sql, &[Value::Int(limit.into())]).await?.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Parked> {
    let c = &mut Columns::of(row);
    Ok(Parked { value: c.maybe_bytes()?, reason: c.text()?, position: c.text()?, size: c.count()? })
}
