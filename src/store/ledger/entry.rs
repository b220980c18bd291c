//! One row of the ledger as the protocol sees it: the upload, and what only claims need.

use std::path::PathBuf;

use super::{
    transaction::timed,
    value::{self, Columns},
};
use crate::{
    error::{Error, Result},
    store::session::{Database, Row, Value},
    upload::{Counts, Fence, NewUpload, Place, State, Stored, Upload, UploadId},
};

/// Reads entries; a WHERE on `u` follows. What the ranges stored is summed where they are: no load touches the
/// upload's row.
pub(super) const ENTRY: &str = "select u.seq, u.id, u.filename, u.media_type, u.size, u.sha256, u.sample, u.sender, \
    u.started_ms, u.received_ms, u.spool, u.path, u.server, u.source_archive, u.host, u.options, u.again_of, \
    u.state, u.announced_ms, u.archive_name, u.archived_ms, u.finished_ms, u.receipt_copied, u.attempts, u.owner, \
    u.lease_until_ms, u.next_try_ms, {now}, u.fence, u.cancel_asked, u.rules, u.stored_before, u.cleaned, u.progress, u.waiting, \
    u.failure, u.receipt, u.nonce, u.mark, \
    (select cast(coalesce(sum(p.good), 0) as signed) from userdata_upload_part p where p.upload = u.id), \
    (select cast(coalesce(sum(p.distinct_ids), 0) as signed) from userdata_upload_part p where p.upload = u.id), \
    (select cast(coalesce(sum(p.conflicting), 0) as signed) from userdata_upload_part p where p.upload = u.id), \
    (select cast(coalesce(sum(p.inserted), 0) as signed) from userdata_upload_part p where p.upload = u.id), \
    (select cast(coalesce(sum(p.replaced), 0) as signed) from userdata_upload_part p where p.upload = u.id), \
    (select count(*) from userdata_upload_part p where p.upload = u.id and p.finished = 0) \
    from userdata_upload u";

pub(super) struct Entry {
    pub upload: Upload,
    pub fence: Fence,
    /// How far the work was when it was claimed last.
    mark: Option<String>,
    pub stored: Stored,
    /// Ranges that are not finished.
    pub unfinished: u64,
}

impl Entry {
    pub(super) fn read(row: Row) -> Result<Self> {
        let c = &mut Columns::of(row);
        // Fields in the order of the columns.
        let mut upload = Upload {
            seq: c.count()?,
            new: read_new(c)?,
            state: c.parsed()?,
            announced_ms: c.maybe_int()?,
            archive_name: c.maybe_text()?,
            archived_ms: c.maybe_int()?,
            finished_ms: c.maybe_int()?,
            receipt_copied: c.flag()?,
            attempts: c.count()?,
            owner: c.maybe_text()?,
            lease_until_ms: c.maybe_int()?,
            next_try_ms: c.maybe_int()?,
            now_ms: c.int()?,
            fence: c.count()?,
            cancel_asked: c.flag()?,
            rules: c.maybe_count()?,
            stored_before: c.count()?,
            cleaned: c.maybe_json()?,
            progress: c.maybe_json()?,
            waiting: c.maybe_json()?,
            failure: c.maybe_json()?,
            receipt: c.maybe_json()?,
            counts: Counts::default(),
        };
        let fence = Fence { number: upload.fence, nonce: c.int()? };
        let mark = c.maybe_text()?;
        let stored = read_stored(c)?;
        if let Some(cleaned) = &upload.cleaned {
            upload.counts = Counts::new(cleaned, &stored);
        }
        Ok(Self { upload, fence, mark, stored, unfinished: c.count()? })
    }

    pub(super) fn id(&self) -> UploadId {
        self.upload.new.id
    }

    /// How far the work is: the last finished stage and the good rows that are stored.
    pub(super) fn progress_mark(&self) -> String {
        let stage = match self.upload.state {
            State::Archiving => State::Received,
            state => state,
        };
        format!("{stage} {}", self.stored.good)
    }

    /// Whether the last claim finished a stage or moved a watermark.
    pub(super) fn has_moved(&self) -> bool {
        self.mark.as_deref().is_some_and(|mark| mark != self.progress_mark())
    }
}

fn read_new(c: &mut Columns) -> Result<NewUpload> {
    Ok(NewUpload {
        format: NewUpload::FORMAT,
        id: c.parsed()?,
        filename: c.text()?,
        media_type: c.text()?,
        size: c.count()?,
        sha256: c.maybe_text()?,
        sample: c.maybe_text()?,
        sender: c.text()?,
        started_ms: c.int()?,
        received_ms: c.int()?,
        place: Place {
            spool: c.maybe_parsed()?,
            path: c.maybe_text()?.map(PathBuf::from),
            server: c.maybe_text()?,
            archive: c.maybe_text()?,
            host: c.maybe_text()?,
        },
        options: c.json()?,
        again_of: c.maybe_parsed()?,
    })
}

/// The columns good, distinct, conflicting, inserted, replaced.
pub(super) fn read_stored(c: &mut Columns) -> Result<Stored> {
    Ok(Stored {
        good: c.count()?,
        distinct: c.count()?,
        conflicting: c.count()?,
        inserted: c.count()?,
        replaced: c.count()?,
    })
}

/// The columns that `NEW_COLUMNS` names, but for a `state` that registration decides.
pub(super) fn new_values(new: &NewUpload) -> Result<Vec<Value>> {
    let size = i64::try_from(new.size).map_err(|_| {
        let doing = format!("registering upload {}: a size of {} bytes is impossible", new.id, new.size);
        Error::rejected("size_impossible", doing)
    })?;
    let path = new.place.path.as_deref().map(|path| {
        let next = "rename it, or the folder it is in";
        let doing = || format!("registering upload {}: the path {} is not UTF-8", new.id, path.display());
        path.to_str().ok_or_else(|| Error::rejected("path_not_utf8", doing()).next(next))
    });
    Ok(vec![
        value::id(new.id),
        value::text(&new.filename),
        value::text(&new.media_type),
        Value::Int(size),
        value::maybe_text(new.sha256.as_deref()),
        value::maybe_text(new.sample.as_deref()),
        value::text(&new.sender),
        Value::Int(new.started_ms),
        Value::Int(new.received_ms),
        value::maybe_text(new.place.spool.map(|spool| spool.to_string())),
        value::maybe_text(path.transpose()?),
        value::maybe_text(new.place.server.as_deref()),
        value::maybe_text(new.place.archive.as_deref()),
        value::maybe_text(new.place.host.as_deref()),
        value::json(&new.options),
        value::text(new.options.existing.to_string()),
        value::maybe_text(new.again_of.map(|id| id.to_string())),
    ])
}

pub(super) const NEW_COLUMNS: &str = "id, filename, media_type, size, sha256, sample, sender, started_ms, received_ms, \
    spool, path, server, source_archive, host, options, existing, again_of";

/// Entries outside of any transaction; `clause` follows the FROM.
pub(super) async fn entries(db: &dyn Database, clause: &str, parameters: &[Value]) -> Result<Vec<Entry>> {
    let sql = timed(&format!("{ENTRY} {clause}"), db.now_ms());
    db.read(&sql, parameters).await?.into_iter().map(Entry::read).collect()
}

pub(super) async fn entry(db: &dyn Database, id: UploadId) -> Result<Option<Entry>> {
    Ok(entries(db, "where u.id = ?", &[value::id(id)]).await?.into_iter().next())
}
