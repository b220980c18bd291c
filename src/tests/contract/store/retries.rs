//! What opens again, in which state, and what is refused.

use userdata::{
    rows::{Existing, RowOptions},
    store::{Beat, CancelOutcome, Release, Retry, RetryOutcome, Store},
    upload::{Claim, NewUpload, State, UploadId},
};

use super::{Bench, fixture::*};

/// An upload that failed with so many users stored, of two.
async fn failed_loading(store: &dyn Store, new: &NewUpload, stored: usize) -> Claim {
    let claim = claimed(store, new).await;
    split(store, &claim, 2, &everything()).await;
    if stored > 0 {
        load(store, &claim, block([("a", "a"), ("b", "b")].into_iter().take(stored)), stored == 2).await;
    }
    store.fail(&claim, &failure("broken")).await.unwrap();
    claim
}

pub async fn only_what_failed_or_was_cancelled_is_opened_again(bench: &Bench) {
    let store = &*bench.store;
    let retry = Retry::default();
    assert_eq!(store.retry(UploadId::new(), &retry).await.unwrap(), RetryOutcome::NoSuchUpload);
    let claim = claimed(store, &new_upload()).await;
    assert_eq!(store.retry(claim.id, &retry).await.unwrap(), RetryOutcome::NotEnded(State::Received));
    split(store, &claim, 1, &everything()).await;
    load(store, &claim, block([("a", "a")]), true).await;
    store.finish(&claim, &receipt(store, claim.id, State::Done).await).await.unwrap();
    assert_eq!(store.retry(claim.id, &retry).await.unwrap(), RetryOutcome::NotEnded(State::Done));
    let id = registered(store).await;
    assert_eq!(store.cancel(id).await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(store.retry(id, &retry).await.unwrap(), RetryOutcome::Opened(State::Received));
    // A cancellation is forgotten with it.
    let claim = successor(store, id, "two", LONG).await;
    assert_eq!(store.heartbeat(&claim, None).await.unwrap(), Beat::Kept);
}

pub async fn before_it_was_archived_it_opens_as_received(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    for _ in 0..2 {
        let claim = successor(store, id, "one", LONG).await;
        let why = Release::Unexpected { failure: failure("x"), pause: std::time::Duration::ZERO };
        store.release(&claim, why).await.unwrap();
    }
    let old = successor(store, id, "one", LONG).await;
    assert!(store.reserve_archive_name(&old, "x.csv").await.unwrap());
    store.fail(&old, &failure("broken")).await.unwrap();
    assert_eq!(store.retry(id, &Retry::default()).await.unwrap(), RetryOutcome::Opened(State::Received));
    let upload = row(store, id).await;
    assert_eq!((upload.state, upload.attempts, upload.failure), (State::Received, 0, None));
    assert_eq!((upload.finished_ms, upload.archive_name.as_deref()), (None, Some("x.csv")));
    assert_lost("fail", store.fail(&old, &failure("late")).await);
    assert_eq!(store.events(id).await.unwrap().last().unwrap().state, State::Received);
    let claim = claim(store, id, "two", LONG).await;
    assert!(store.reserve_archive_name(&claim, "x.csv").await.unwrap());
}

pub async fn with_no_row_stored_it_is_cleaned_anew_under_other_options(bench: &Bench) {
    let store = &*bench.store;
    let old = failed_loading(store, &new_upload(), 0).await;
    let options = RowOptions { trim: true, existing: Existing::Replace, ..RowOptions::default() };
    let retry = Retry { options: Some(options.clone()), ..Retry::default() };
    assert_eq!(store.retry(old.id, &retry).await.unwrap(), RetryOutcome::Opened(State::Archived));
    let upload = row(store, old.id).await;
    assert_eq!((upload.new.options, upload.cleaned, upload.rules), (options, None, None));
    assert!(store.parts(old.id).await.unwrap().is_empty());
    // The mode is that of the new options, for the order of loads too.
    let later = claimed(store, &with_existing(Existing::Replace)).await;
    assert!(!store.is_next(&later).await.unwrap());
    let claim = claim(store, old.id, "two", LONG).await;
    store.split(&claim, &cleaned(9), 2, &everything()).await.unwrap();
}

pub async fn with_rows_stored_it_goes_on_loading(bench: &Bench) {
    let store = &*bench.store;
    let old = failed_loading(store, &new_upload(), 1).await;
    for restart in [false, true] {
        let retry = Retry { options: Some(RowOptions::default()), restart, ..Retry::default() };
        assert_eq!(store.retry(old.id, &retry).await.unwrap(), RetryOutcome::RowsStored);
    }
    assert_eq!(state(store, old.id).await, State::Failed);
    assert_eq!(store.retry(old.id, &Retry::default()).await.unwrap(), RetryOutcome::Opened(State::Loading));
    let claim = claim(store, old.id, "two", LONG).await;
    store.take_over(&claim).await.unwrap();
    let parts = store.parts(old.id).await.unwrap();
    assert_eq!((parts[0].watermark.as_deref(), parts[0].stored.good), (Some(&b"a"[..]), 1));
    load(store, &claim, block([("b", "b")]), true).await;
    store.finish(&claim, &receipt(store, claim.id, State::Done).await).await.unwrap();
    assert_eq!(row(store, claim.id).await.counts.inserted, 2);
}

pub async fn a_restart_forgets_the_ranges_but_not_the_rows(bench: &Bench) {
    let store = &*bench.store;
    let old = failed_loading(store, &new_upload(), 1).await;
    let retry = Retry { restart: true, ..Retry::default() };
    assert_eq!(store.retry(old.id, &retry).await.unwrap(), RetryOutcome::Opened(State::Archived));
    assert!(store.parts(old.id).await.unwrap().is_empty());
    assert_eq!(bench.table.users().await.len(), 1);
    let told = store.events(old.id).await.unwrap();
    assert!(told.last().unwrap().message.contains("1 rows"), "{told:?}");
    let claim = claim(store, old.id, "two", LONG).await;
    store.split(&claim, &cleaned(2), 2, &everything()).await.unwrap();
    load(store, &claim, block([("a", "a"), ("b", "b")]), true).await;
    store.finish(&claim, &receipt(store, claim.id, State::Done).await).await.unwrap();
    let counts = row(store, claim.id).await.counts;
    assert_eq!((counts.inserted, counts.already_present), (1, 1));
}

pub async fn what_a_newer_one_has_overtaken_is_refused(bench: &Bench) {
    let store = &*bench.store;
    let replace = || with_existing(Existing::Replace);
    let older = failed(store, &replace()).await;
    let keeps = failed(store, &new_upload()).await;
    assert!(!store.overtaken(older).await.unwrap());
    // A newer one that keeps does not matter, nor one that waits: it will wait for this one too.
    failed_loading(store, &new_upload(), 2).await;
    let waits = register(store, &replace()).await;
    assert!(!store.overtaken(older).await.unwrap());
    assert_eq!(store.retry(older, &Retry::default()).await.unwrap(), RetryOutcome::Opened(State::Received));
    let newer = claim(store, waits, "one", LONG).await;
    let opened = claim(store, older, "two", LONG).await;
    archive(store, &newer).await;
    assert!(!store.is_next(&newer).await.unwrap());
    store.fail(&opened, &failure("broken")).await.unwrap();
    store.split(&newer, &cleaned(1), 1, &everything()).await.unwrap();
    assert!(bench.other.overtaken(older).await.unwrap());
    assert_eq!(store.retry(older, &Retry::default()).await.unwrap(), RetryOutcome::Overtaken);
    assert_eq!(state(store, older).await, State::Failed);
    let into_replace = Retry { options: Some(replace().options), ..Retry::default() };
    assert_eq!(store.retry(keeps, &into_replace).await.unwrap(), RetryOutcome::Overtaken);
    assert!(matches!(store.retry(keeps, &Retry::default()).await.unwrap(), RetryOutcome::Opened(_)));
    let anyway = Retry { over_newer: true, ..Retry::default() };
    assert!(matches!(store.retry(older, &anyway).await.unwrap(), RetryOutcome::Opened(_)));
    assert!(!store.overtaken(waits).await.unwrap());
    assert!(!store.overtaken(UploadId::new()).await.unwrap());
}
