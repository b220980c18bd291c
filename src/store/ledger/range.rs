//! The ranges of a load: their rows, the fence in them, and the transaction that stores users and moves the
//! watermark together. A load locks its own range's row and never the upload's, where the heartbeats go.

use async_trait::async_trait;

use super::{
    entry::read_stored,
    transaction::{Transaction, by_claim},
    value::{self, Columns},
};
use crate::{
    error::{Error, Result},
    rows::{Existing, UserBlock},
    store::{
        Bounds, Part, PartFile, RangeLoad, lost,
        session::{Database, Lane, Row, Value},
    },
    upload::{Claim, Fence, Stored, UploadId},
};

const PART: &str = "select number, low, high, watermark, finished, good, distinct_ids, conflicting, inserted, \
    replaced, file, fence, nonce from userdata_upload_part where upload = ?";

fn read(row: Row) -> Result<(Part, Fence)> {
    let c = &mut Columns::of(row);
    let part = Part {
        number: c.count()?,
        bounds: Bounds { low: c.maybe_bytes()?, high: c.maybe_bytes()? },
        watermark: c.maybe_bytes()?,
        finished: c.flag()?,
        stored: read_stored(c)?,
        file: c.maybe_json()?,
    };
    Ok((part, Fence { number: c.count()?, nonce: c.int()? }))
}

pub(super) async fn parts(db: &dyn Database, id: UploadId) -> Result<Vec<Part>> {
    let rows = db.read(&format!("{PART} order by number"), &[value::id(id)]).await?;
    rows.into_iter().map(|row| Ok(read(row)?.0)).collect()
}

pub(super) async fn insert(
    transaction: &mut Transaction,
    claim: &Claim,
    ranges: impl Iterator<Item = (&Bounds, Option<&PartFile>)>,
) -> Result<Vec<Part>> {
    let sql = "insert into userdata_upload_part (upload, fence, nonce, number, low, high, file) \
               values (?, ?, ?, ?, ?, ?, ?)";
    let mut parts = Vec::new();
    for (number, (bounds, file)) in (0..).zip(ranges) {
        let mut parameters = by_claim(claim).to_vec();
        parameters.push(Value::Int(i64::from(number)));
        parameters.push(value::maybe_bytes(bounds.low.as_deref()));
        parameters.push(value::maybe_bytes(bounds.high.as_deref()));
        parameters.push(value::maybe_json(file));
        transaction.execute(sql, &parameters).await?;
        parts.push(Part { number, bounds: bounds.clone(), file: file.cloned(), ..Part::default() });
    }
    Ok(parts)
}

/// Never leaves an older claim's fence in a range: what it wrote is kept only if the upload is still its own then. The
/// upload's row is read, not locked: a predecessor's open transaction may keep this one waiting, and heartbeats must
/// not wait with it.
pub(super) async fn take_over(db: &dyn Database, claim: &Claim) -> Result<()> {
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    let sql = "update userdata_upload_part set fence = ?, nonce = ? where upload = ?";
    let [id, number, nonce] = by_claim(claim);
    transaction.execute(sql, &[number, nonce, id]).await?;
    let sql = "select seq from userdata_upload where id = ? and fence = ? and nonce = ? and owner is not null";
    if transaction.query(sql, &by_claim(claim)).await?.is_empty() {
        return Err(lost(claim));
    }
    transaction.commit().await
}

pub(super) async fn begin(
    db: &dyn Database,
    claim: &Claim,
    number: u32,
    existing: Existing,
) -> Result<Box<dyn RangeLoad>> {
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    let parameters = [value::id(claim.id), Value::Int(number.into())];
    let rows = transaction.query(&format!("{PART} and number = ? for update"), &parameters).await?;
    let (part, fence) = match rows.into_iter().next() {
        Some(row) => read(row)?,
        None => {
            let doing = format!("loading range {number} of upload {}: there is no such range", claim.id);
            return Err(Error::fatal("no_such_range", doing));
        }
    };
    if fence != claim.fence {
        return Err(lost(claim));
    }
    let claim = claim.clone();
    Ok(Box::new(Load { transaction, claim, existing, last: None, added: Stored::default(), part }))
}

/// One open transaction on a range.
struct Load {
    transaction: Transaction,
    claim: Claim,
    existing: Existing,
    /// As it was when the transaction began.
    part: Part,
    /// The last id put.
    last: Option<Vec<u8>>,
    added: Stored,
}

impl Load {
    /// Whether the block's ids ascend from the watermark and stay inside the range.
    fn in_order(&self, users: &UserBlock) -> bool {
        let ids = (0..users.len()).map(|at| users.id(at).as_bytes());
        let behind = self.last.as_deref().or(self.part.watermark.as_deref());
        let (low, high) = (self.part.bounds.low.as_deref(), self.part.bounds.high.as_deref());
        let first = ids.clone().next();
        first.is_none_or(|first| behind.is_none_or(|behind| first > behind) && low.is_none_or(|low| first >= low))
            && users.last_id().is_none_or(|last| high.is_none_or(|high| last.as_bytes() < high))
            && ids.is_sorted_by(|id, next| id < next)
    }

    fn refused(&self, code: &'static str, why: &str) -> Error {
        let (number, id) = (self.part.number, self.claim.id);
        Error::fatal(code, format!("loading range {number} of upload {id}: {why}"))
    }
}

#[async_trait]
impl RangeLoad for Load {
    fn part(&self) -> &Part {
        &self.part
    }

    async fn put(&mut self, users: UserBlock) -> Result<()> {
        if self.part.finished {
            return Err(self.refused("range_finished", "it is loaded to its end already"));
        }
        if !self.in_order(&users) {
            return Err(self.refused("block_out_of_order", "a block's ids do not ascend from its watermark"));
        }
        let Some(last) = users.last_id().map(|id| id.as_bytes().to_vec()) else { return Ok(()) };
        let (sent, good, conflicting) = (users.len() as u64, users.good, users.conflicting);
        let applied = self.transaction.session().store_users(users, self.existing).await?;
        if applied.inserted + applied.replaced > sent {
            return Err(self.refused("count_impossible", "the database says it stored more rows than were sent"));
        }
        self.added.good += good;
        self.added.distinct += sent;
        self.added.conflicting += conflicting;
        self.added.inserted += applied.inserted;
        self.added.replaced += applied.replaced;
        self.last = Some(last);
        Ok(())
    }

    async fn commit(self: Box<Self>, finished: bool) -> Result<Part> {
        let Self { mut transaction, claim, part, last, added, .. } = *self;
        let stored = Stored {
            good: part.stored.good + added.good,
            distinct: part.stored.distinct + added.distinct,
            conflicting: part.stored.conflicting + added.conflicting,
            inserted: part.stored.inserted + added.inserted,
            replaced: part.stored.replaced + added.replaced,
        };
        let after = Part {
            watermark: last.or_else(|| part.watermark.clone()),
            finished: finished || part.finished,
            stored,
            ..part.clone()
        };
        if after == part {
            return Ok(part);
        }
        let sql = "update userdata_upload_part set watermark = ?, finished = ?, good = ?, distinct_ids = ?, \
                   conflicting = ?, inserted = ?, replaced = ? where upload = ? and fence = ? and nonce = ? \
                   and number = ?";
        let mut parameters = vec![value::maybe_bytes(after.watermark.as_deref()), Value::Int(after.finished.into())];
        parameters.extend(
            [stored.good, stored.distinct, stored.conflicting, stored.inserted, stored.replaced].map(value::count),
        );
        parameters.extend(by_claim(&claim));
        parameters.push(Value::Int(after.number.into()));
        if transaction.execute(sql, &parameters).await? != 1 {
            return Err(lost(&claim));
        }
        transaction.commit().await?;
        Ok(after)
    }
}
