//! Claims: who may work on an upload, for how long, and what an attempt that moved nothing counts.

use std::time::Duration;

use super::{
    account::{self, Ending},
    entry::{Entry, entry},
    history,
    listing::IN_ORDER,
    transaction::{Transaction, by_claim},
    value::{self, Columns},
};
use crate::{
    error::{Result, Service},
    store::{
        ATTEMPTS_MAX, Beat, ClaimOutcome, Release, as_ms, lost,
        session::{Database, Lane, Value},
    },
    upload::{Claim, Failure, Fence, Progress, UploadId, Waiting},
};

/// Reads without locks, then decides by one UPDATE under the fence that was seen: of two that saw the same one, the
/// second changes nothing.
pub(super) async fn claim(db: &dyn Database, id: UploadId, owner: &str, lease: Duration) -> Result<ClaimOutcome> {
    let Some(seen) = entry(db, id).await? else { return Ok(ClaimOutcome::Taken) };
    let attempts = counted(&seen);
    let fence = Fence { number: seen.fence.number + 1, nonce: rand::random() };
    let sql = format!(
        "update userdata_upload set owner = ?, fence = ?, nonce = ?, lease_until_ms = {{now}} + ?, attempts = ?, \
         mark = ?, next_try_ms = null, progress = null \
         where id = ? and fence = ? and nonce = ? and finished_ms is null \
         and (owner is null or lease_until_ms < {{now}}) \
         and (cancel_asked = 1 or ((next_try_ms is null or next_try_ms <= {{now}}) and {IN_ORDER}))"
    );
    let parameters = [
        value::text(owner),
        value::count(fence.number),
        Value::Int(fence.nonce),
        Value::Int(as_ms(lease)),
        Value::Int(attempts.into()),
        value::text(seen.progress_mark()),
        value::id(id),
        value::count(seen.fence.number),
        Value::Int(seen.fence.nonce),
    ];
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    if transaction.execute(&sql, &parameters).await? != 1 {
        return Ok(ClaimOutcome::Taken);
    }
    // What is flagged is only cancelled: that needs no more than one transaction, whatever its attempts were.
    if attempts >= ATTEMPTS_MAX && !seen.upload.cancel_asked {
        let last = format!("worker {} stopped answering", seen.upload.owner.as_deref().unwrap_or("unknown"));
        let failure = used_up(&seen, &last, None);
        account::end_without_owner(&mut transaction, &seen, &Ending::failed(&failure)).await?;
        transaction.commit().await?;
        return Ok(ClaimOutcome::Failed);
    }
    note_claim(&mut transaction, &seen, owner, attempts).await?;
    transaction.commit().await?;
    Ok(ClaimOutcome::Claimed(Claim { id, owner: owner.to_owned(), fence, lease }))
}

/// The attempts in a row that moved nothing. One whose claim is still written down ended with its worker's death.
fn counted(seen: &Entry) -> u32 {
    match (&seen.upload.owner, seen.has_moved()) {
        (None, _) => seen.upload.attempts,
        (Some(_), true) => 0,
        (Some(_), false) => seen.upload.attempts + 1,
    }
}

/// Tries that only ask whether a service is back are no news.
async fn note_claim(transaction: &mut Transaction, seen: &Entry, owner: &str, attempts: u32) -> Result<()> {
    let upload = &seen.upload;
    let message = match &upload.owner {
        Some(dead) => format!("claimed: worker {dead} stopped answering while it was {}", upload.state),
        None if upload.waiting.is_some() => return Ok(()),
        None => "claimed".to_owned(),
    };
    history::write(transaction, upload.id(), Some(owner), attempts + 1, upload.state, message).await
}

fn used_up(entry: &Entry, last: &str, next: Option<&str>) -> Failure {
    let next = next.unwrap_or("see the log of that worker; after that: userdata retry");
    Failure {
        code: "attempts_used_up".into(),
        message: format!(
            "{ATTEMPTS_MAX} attempts in a row got nowhere while it was {}; the last one: {last}",
            entry.upload.state
        ),
        next: Some(next.into()),
    }
}

pub(super) async fn heartbeat(db: &dyn Database, claim: &Claim, progress: Option<Progress>) -> Result<Beat> {
    let sql = "update userdata_upload set beat = beat + 1, lease_until_ms = {now} + ?, \
               progress = coalesce(?, progress) where id = ? and fence = ? and nonce = ? and owner is not null";
    let [id, number, nonce] = by_claim(claim);
    let parameters = [Value::Int(as_ms(claim.lease)), value::maybe_json(progress.as_ref()), id.clone(), number, nonce];
    let mut transaction = Transaction::begin(db, Lane::Heartbeat).await?;
    if transaction.execute(sql, &parameters).await? != 1 {
        return Err(lost(claim));
    }
    let rows = transaction.query("select cancel_asked from userdata_upload where id = ?", &[id]).await?;
    transaction.commit().await?;
    let asked = rows.into_iter().next().map(|row| Columns::of(row).flag()).transpose()?;
    Ok(if asked == Some(true) { Beat::CancelAsked } else { Beat::Kept })
}

pub(super) async fn is_next(db: &dyn Database, claim: &Claim) -> Result<bool> {
    let sql = "select case when u.existing <> 'replace' or not exists (select 1 from userdata_upload earlier \
               where earlier.finished_ms is null and earlier.existing = 'replace' and earlier.seq < u.seq) \
               then 1 else 0 end from userdata_upload u where u.id = ? and u.fence = ? and u.nonce = ?";
    let row = db.read(sql, &by_claim(claim)).await?.into_iter().next();
    row.map(|row| Columns::of(row).flag()).transpose()?.ok_or_else(|| lost(claim))
}

pub(super) async fn release(db: &dyn Database, claim: &Claim, why: Release) -> Result<()> {
    let Some((mut transaction, entry)) = Transaction::holding_if_current(db, claim).await? else {
        return already_given_up(db, claim).await;
    };
    let moved = entry.has_moved();
    let attempts = match (&why, moved) {
        (_, true) => 0,
        (Release::Unexpected { .. }, false) => entry.upload.attempts + 1,
        (_, false) => entry.upload.attempts,
    };
    let state = entry.upload.state;
    let (message, waiting, pause) = match why {
        Release::HandedBack => (Some("handed back".to_owned()), entry.upload.waiting.clone(), None),
        Release::Waiting { service, message, pause } => {
            let waiting = waits(&entry, service, &message, pause);
            let news = entry.upload.waiting.as_ref().is_none_or(|before| before.service != service);
            (news.then(|| waiting.message.clone()), Some(waiting), Some(pause))
        }
        Release::Unexpected { failure, .. } if attempts >= ATTEMPTS_MAX => {
            let failure = used_up(&entry, &failure.message, failure.next.as_deref());
            let sql = "update userdata_upload set attempts = ? where id = ?";
            transaction.execute(sql, &[Value::Int(attempts.into()), value::id(claim.id)]).await?;
            account::end(&mut transaction, &entry, &Ending::failed(&failure)).await?;
            return transaction.commit().await;
        }
        Release::Unexpected { failure, pause } => {
            let counts = if moved { "not counted, it had got on" } else { "counted" };
            let message = format!("the attempt ended ({counts}): {}", failure.message);
            (Some(message), entry.upload.waiting.clone(), Some(pause))
        }
    };
    if let Some(message) = message {
        history::note(&mut transaction, &entry.upload, state, message).await?;
    }
    let sql = "update userdata_upload set owner = null, lease_until_ms = null, progress = null, attempts = ?, \
               waiting = ?, next_try_ms = {now} + ? where id = ?";
    let pause_ms = pause.map_or(Value::Null, |pause| Value::Int(as_ms(pause)));
    let parameters = [Value::Int(attempts.into()), value::maybe_json(waiting.as_ref()), pause_ms, value::id(claim.id)];
    transaction.execute(sql, &parameters).await?;
    transaction.commit().await
}

/// Shown as the reason why nobody takes it, until somebody does.
pub(super) async fn note_unclaimed(db: &dyn Database, id: UploadId, message: &str) -> Result<()> {
    let Some(seen) = entry(db, id).await? else { return Ok(()) };
    let (service, since) = (Service::Source, seen.upload.now_ms);
    let waiting = Waiting { service, message: message.to_owned(), since, next_try: None };
    let sql = "update userdata_upload set waiting = ? \
               where id = ? and (owner is null or lease_until_ms < {now}) and finished_ms is null and waiting is null";
    let mut transaction = Transaction::begin(db, Lane::Work).await?;
    transaction.execute(sql, &[value::json(&waiting), value::id(id)]).await?;
    transaction.commit().await
}

/// What it waits for; since when, over repeated waits for the same service.
fn waits(entry: &Entry, service: Service, message: &str, pause: Duration) -> Waiting {
    let now = entry.upload.now_ms;
    let before = entry.upload.waiting.as_ref().filter(|before| before.service == service);
    Waiting {
        service,
        message: Waiting::text(service, message),
        since: before.map_or(now, |before| before.since),
        next_try: Some(now + as_ms(pause)),
    }
}

/// A repeated call whose first one did it is no loss: the fence is still the claim's.
async fn already_given_up(db: &dyn Database, claim: &Claim) -> Result<()> {
    match entry(db, claim.id).await? {
        Some(entry) if entry.fence == claim.fence => Ok(()),
        _ => Err(lost(claim)),
    }
}
