//! Cancellation, and the order of loads that replace.

use std::time::Duration;

use userdata::{
    error::Service,
    rows::Existing,
    store::{Beat, CancelOutcome, ClaimOutcome, Release},
    upload::{State, UploadId},
};

use super::{Bench, fixture::*};

pub async fn a_waiting_upload_is_cancelled_at_once(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    assert_eq!(store.cancel(id).await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(state(store, id).await, State::Cancelled);
    assert_eq!(store.claim(id, "one", LONG).await.unwrap(), ClaimOutcome::Taken);
    // One that was handed back in mid-load keeps its rows, and who had it writes nothing more.
    let claim = claimed(store, &new_upload()).await;
    split(store, &claim, 2, &everything()).await;
    load(store, &claim, block([("a", "a")]), false).await;
    store.release(&claim, Release::HandedBack).await.unwrap();
    assert_eq!(store.cancel(claim.id).await.unwrap(), CancelOutcome::Cancelled);
    let upload = row(store, claim.id).await;
    assert_eq!((upload.state, upload.counts.inserted, upload.waiting), (State::Cancelled, 1, None));
    assert_lost("begin", store.begin(&claim, 0, Existing::Keep).await);
    assert_eq!(bench.table.users().await.len(), 1);
    assert_eq!(store.events(claim.id).await.unwrap().last().unwrap().state, State::Cancelled);
}

pub async fn a_claimed_upload_is_asked_to_stop(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    assert_eq!(store.heartbeat(&claim, None).await.unwrap(), Beat::Kept);
    for _ in 0..2 {
        assert_eq!(bench.other.cancel(claim.id).await.unwrap(), CancelOutcome::Asked);
    }
    assert!(row(store, claim.id).await.cancel_asked);
    assert_eq!(store.heartbeat(&claim, None).await.unwrap(), Beat::CancelAsked);
    let cancelled = receipt(store, claim.id, State::Cancelled).await;
    store.finish(&claim, &cancelled).await.unwrap();
    let upload = row(store, claim.id).await;
    assert_eq!((upload.state, upload.cancel_asked, upload.receipt), (State::Cancelled, false, Some(cancelled)));
}

pub async fn whoever_claims_a_flagged_upload_only_cancels_it(bench: &Bench) {
    let store = &*bench.store;
    let first = claimed(store, &new_upload()).await;
    assert_eq!(store.cancel(first.id).await.unwrap(), CancelOutcome::Asked);
    // It missed the flag and waits for something: the cancellation need not wait with it.
    let why = Release::Waiting { service: Service::Archive, message: "down".into(), pause: LONG };
    store.release(&first, why).await.unwrap();
    let candidates = store.candidates(0, 5).await.unwrap();
    assert_eq!(candidates.iter().map(|upload| upload.id()).collect::<Vec<_>>(), [first.id]);
    let second = claim(store, first.id, "two", LONG).await;
    assert_eq!(store.heartbeat(&second, None).await.unwrap(), Beat::CancelAsked);
    store.finish(&second, &receipt(store, first.id, State::Cancelled).await).await.unwrap();
    // Or it was handed back flagged: then a second request ends it.
    let third = claimed(store, &new_upload()).await;
    store.cancel(third.id).await.unwrap();
    store.release(&third, Release::HandedBack).await.unwrap();
    assert_eq!(store.cancel(third.id).await.unwrap(), CancelOutcome::Cancelled);
}

pub async fn what_ended_is_not_cancelled(bench: &Bench) {
    let store = &*bench.store;
    assert_eq!(store.cancel(UploadId::new()).await.unwrap(), CancelOutcome::NoSuchUpload);
    let id = failed(store, &new_upload()).await;
    assert_eq!(store.cancel(id).await.unwrap(), CancelOutcome::Ended(State::Failed));
    assert_eq!(state(store, id).await, State::Failed);
}

pub async fn replace_loads_wait_for_earlier_ones(bench: &Bench) {
    let store = &*bench.store;
    let (first, second) = (with_existing(Existing::Replace), with_existing(Existing::Replace));
    let keeps = with_existing(Existing::Keep);
    for new in [&first, &second, &keeps] {
        register(store, new).await;
    }
    let candidates =
        async || -> Vec<UploadId> { store.candidates(0, 10).await.unwrap().iter().map(|upload| upload.id()).collect() };
    assert_eq!(candidates().await, [first.id, second.id, keeps.id], "all may be archived at once");
    let second_claim = claim(store, second.id, "two", LONG).await;
    archive(store, &second_claim).await;
    assert!(!store.is_next(&second_claim).await.unwrap());
    store.release(&second_claim, Release::HandedBack).await.unwrap();
    assert_eq!(candidates().await, [first.id, keeps.id]);
    assert_eq!(store.claim(second.id, "two", LONG).await.unwrap(), ClaimOutcome::Taken);
    let keeping = claim(store, keeps.id, "three", LONG).await;
    archive(store, &keeping).await;
    assert!(store.is_next(&keeping).await.unwrap(), "keep mode waits for nobody");
    let first_claim = claim(store, first.id, "one", LONG).await;
    assert!(store.is_next(&first_claim).await.unwrap());
    archive(store, &first_claim).await;
    let why = Release::Waiting { service: Service::Store, message: "gone".into(), pause: Duration::ZERO };
    store.release(&first_claim, why).await.unwrap();
    let first_claim = successor(store, first.id, "one", LONG).await;
    assert_eq!(store.claim(second.id, "two", LONG).await.unwrap(), ClaimOutcome::Taken);
    store.fail(&first_claim, &failure("broken")).await.unwrap();
    let second_claim = claim(store, second.id, "two", LONG).await;
    assert!(store.is_next(&second_claim).await.unwrap());
}
