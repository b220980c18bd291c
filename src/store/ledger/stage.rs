//! The stages of a file, each one transaction with its event. Repeating one that is done changes nothing.

use super::{entry::Entry, history, range, transaction::Transaction, value};
use crate::{
    error::{Error, Result},
    store::{
        Bounds, Part, PartFile,
        session::{DUPLICATE_KEY, Database, Value},
    },
    upload::{Claim, Cleaned, State},
    wording::{counted, grouped},
};

fn wrong_state(entry: &Entry, doing: &str) -> Error {
    let (id, state) = (entry.id(), entry.upload.state);
    Error::fatal("wrong_state", format!("{doing} of upload {id}: it is {state}"))
}

/// The name is chosen once: under it a predecessor may have stored the file already.
pub(super) async fn reserve_archive_name(db: &dyn Database, claim: &Claim, name: &str) -> Result<bool> {
    let (mut transaction, entry) = Transaction::holding(db, claim).await?;
    match (entry.upload.state, entry.upload.archive_name.as_deref()) {
        (State::Archiving, Some(chosen)) if chosen == name => return Ok(true),
        (State::Received | State::Archiving, chosen) if chosen.is_none_or(|chosen| chosen == name) => {}
        (State::Received | State::Archiving, chosen) => {
            let chosen = chosen.unwrap_or_default();
            let doing = format!("naming upload {} {name} in the archive: it is {chosen} already", claim.id);
            return Err(Error::fatal("archive_name_chosen", doing));
        }
        _ => return Err(wrong_state(&entry, "choosing the name in the archive")),
    }
    let sql = "update userdata_upload set archive_name = ?, state = 'archiving' where id = ?";
    match transaction.execute(sql, &[value::text(name), value::id(claim.id)]).await {
        Err(error) if error.code == DUPLICATE_KEY => return Ok(false),
        outcome => outcome?,
    };
    history::note(&mut transaction, &entry.upload, State::Archiving, format!("archiving as {name}")).await?;
    transaction.commit().await?;
    Ok(true)
}

/// From `received` too: an upload whose bytes another one has in the archive is not stored twice.
pub(super) async fn archived(db: &dyn Database, claim: &Claim, sha256: Option<&str>) -> Result<()> {
    let (mut transaction, entry) = Transaction::holding(db, claim).await?;
    match entry.upload.state {
        State::Received | State::Archiving => {}
        State::Archived => return Ok(()),
        _ => return Err(wrong_state(&entry, "archiving")),
    }
    let sql = "update userdata_upload set state = 'archived', archived_ms = {now}, sha256 = coalesce(sha256, ?), \
               waiting = null where id = ?";
    transaction.execute(sql, &[value::maybe_text(sha256), value::id(claim.id)]).await?;
    history::note(&mut transaction, &entry.upload, State::Archived, "archived").await?;
    transaction.commit().await
}

pub(super) async fn note(db: &dyn Database, claim: &Claim, message: &str) -> Result<()> {
    let (mut transaction, entry) = Transaction::holding(db, claim).await?;
    history::note(&mut transaction, &entry.upload, entry.upload.state, message).await?;
    transaction.commit().await
}

pub(super) async fn note_cleaned(db: &dyn Database, claim: &Claim, cleaned: &Cleaned) -> Result<()> {
    let (mut transaction, _) = Transaction::holding(db, claim).await?;
    let sql = "update userdata_upload set cleaned = ? where id = ?";
    transaction.execute(sql, &[value::json(cleaned), value::id(claim.id)]).await?;
    transaction.commit().await
}

pub(super) async fn split(
    db: &dyn Database,
    claim: &Claim,
    cleaned: &Cleaned,
    rules: u32,
    bounds: &[Bounds],
) -> Result<Vec<Part>> {
    disjoint(claim, bounds.iter())?;
    begin_loading(db, claim, cleaned, rules, bounds.iter().map(|bounds| (bounds, None))).await
}

pub(super) async fn accept(
    db: &dyn Database,
    claim: &Claim,
    cleaned: &Cleaned,
    rules: u32,
    parts: &[(Bounds, PartFile)],
) -> Result<Vec<Part>> {
    disjoint(claim, parts.iter().map(|(bounds, _)| bounds))?;
    begin_loading(db, claim, cleaned, rules, parts.iter().map(|(bounds, file)| (bounds, Some(file)))).await
}

async fn begin_loading(
    db: &dyn Database,
    claim: &Claim,
    cleaned: &Cleaned,
    rules: u32,
    ranges: impl Iterator<Item = (&Bounds, Option<&PartFile>)> + Send,
) -> Result<Vec<Part>> {
    let (mut transaction, entry) = Transaction::holding(db, claim).await?;
    match entry.upload.state {
        State::Archived => {}
        State::Loading => {
            drop(transaction);
            return range::parts(db, claim.id).await;
        }
        _ => return Err(wrong_state(&entry, "splitting the load")),
    }
    let parts = range::insert(&mut transaction, claim, ranges).await?;
    let sql = "update userdata_upload set state = 'loading', cleaned = ?, rules = ?, waiting = null where id = ?";
    let parameters = [value::json(cleaned), Value::Int(rules.into()), value::id(claim.id)];
    transaction.execute(sql, &parameters).await?;
    let made = if parts.iter().any(|part| part.file.is_some()) { " made by Spark" } else { "" };
    let message = format!(
        "cleaned: {} read, {} good, {} rejected; loading in {}{made}",
        counted(cleaned.read, "row", "rows"),
        grouped(cleaned.good),
        grouped(cleaned.rejected),
        counted(parts.len() as u64, "range", "ranges")
    );
    history::note(&mut transaction, &entry.upload, State::Loading, message).await?;
    transaction.commit().await?;
    Ok(parts)
}

/// Ranges that overlap would store an id twice and count it twice.
fn disjoint<'a>(claim: &Claim, bounds: impl Iterator<Item = &'a Bounds>) -> Result<()> {
    let bounds: Vec<_> = bounds.collect();
    let follows = |pair: &[&Bounds]| matches!((&pair[0].high, &pair[1].low), (Some(high), Some(low)) if high <= low);
    let holds = |range: &&Bounds| !matches!((&range.low, &range.high), (Some(low), Some(high)) if low >= high);
    if bounds.windows(2).all(follows) && bounds.iter().all(holds) {
        return Ok(());
    }
    let doing = format!("splitting the load of upload {}: its {} ranges overlap", claim.id, bounds.len());
    Err(Error::fatal("ranges_overlap", doing))
}
