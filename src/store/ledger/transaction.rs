//! A transaction on the ledger, with the database's clock put into its statements, and the two ways to hold an
//! upload's row in it: by its claim, or for a person's request.

use super::{
    entry::{ENTRY, Entry},
    value,
};
use crate::{
    error::Result,
    store::{
        lost,
        session::{Database, Lane, Row, Session, Value},
    },
    upload::{Claim, Fence, UploadId},
};

pub(super) struct Transaction {
    session: Box<dyn Session>,
    now_ms: &'static str,
}

/// Puts the database's clock into a statement.
pub(super) fn timed(sql: &str, now_ms: &str) -> String {
    sql.replace("{now}", now_ms)
}

impl Transaction {
    pub(super) async fn begin(db: &dyn Database, lane: Lane) -> Result<Self> {
        Ok(Self { session: db.begin(lane).await?, now_ms: db.now_ms() })
    }

    pub(super) async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64> {
        self.session.execute(&timed(sql, self.now_ms), parameters).await
    }

    pub(super) async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>> {
        self.session.query(&timed(sql, self.now_ms), parameters).await
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.session.commit().await
    }

    /// The session itself, for what stores users.
    pub(super) fn session(&mut self) -> &mut dyn Session {
        &mut *self.session
    }

    /// Begins with the claim's row locked, its fence checked: whatever follows cannot be overtaken. The UPDATE always
    /// changes the row, since MySQL counts changed rows.
    pub(super) async fn holding(db: &dyn Database, claim: &Claim) -> Result<(Self, Entry)> {
        Self::holding_if_current(db, claim).await?.ok_or_else(|| lost(claim))
    }

    pub(super) async fn holding_if_current(db: &dyn Database, claim: &Claim) -> Result<Option<(Self, Entry)>> {
        let mut transaction = Self::begin(db, Lane::Work).await?;
        let sql = "update userdata_upload set beat = beat + 1 \
                   where id = ? and fence = ? and nonce = ? and owner is not null";
        if transaction.execute(sql, &by_claim(claim)).await? != 1 {
            return Ok(None);
        }
        let entry = transaction.entry(claim.id).await?;
        Ok(entry.map(|entry| (transaction, entry)))
    }

    /// Begins with an upload's row locked, whoever has it.
    pub(super) async fn locking(db: &dyn Database, id: UploadId) -> Result<Option<(Self, Entry)>> {
        let mut transaction = Self::begin(db, Lane::Work).await?;
        let sql = "select seq from userdata_upload where id = ? for update";
        if transaction.query(sql, &[value::id(id)]).await?.is_empty() {
            return Ok(None);
        }
        let entry = transaction.entry(id).await?;
        Ok(entry.map(|entry| (transaction, entry)))
    }

    pub(super) async fn entry(&mut self, id: UploadId) -> Result<Option<Entry>> {
        let rows = self.query(&format!("{ENTRY} where u.id = ?"), &[value::id(id)]).await?;
        rows.into_iter().next().map(Entry::read).transpose()
    }

    /// Writes a new fence that nobody holds into the upload and its ranges, so that whoever had it writes nothing
    /// more. Waits for a transaction that is still open on a range.
    pub(super) async fn fence_off(&mut self, entry: &Entry) -> Result<()> {
        let fence = Fence { number: entry.fence.number + 1, nonce: rand::random() };
        let new = [value::count(fence.number), Value::Int(fence.nonce), value::id(entry.id())];
        self.execute("update userdata_upload set fence = ?, nonce = ? where id = ?", &new).await?;
        self.execute("update userdata_upload_part set fence = ?, nonce = ? where upload = ?", &new).await?;
        Ok(())
    }
}

/// The parameters of `id = ? and fence = ? and nonce = ?`.
pub(super) fn by_claim(claim: &Claim) -> [Value; 3] {
    [value::id(claim.id), value::count(claim.fence.number), Value::Int(claim.fence.nonce)]
}
