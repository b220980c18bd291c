//! Who may work on an upload, and who may no longer.

use std::time::Duration;

use userdata::{
    error::Service,
    rows::Existing,
    store::{Beat, ClaimOutcome, Release},
    upload::{Progress, Stage, State, Unit, UploadId},
};

use super::{Bench, fixture::*};

pub async fn of_many_claims_at_once_one_wins(bench: &Bench) {
    for _ in 0..5 {
        let id = registered(&*bench.store).await;
        let claims = (0..8).map(|number| {
            let store = if number % 2 == 0 { bench.store.clone() } else { bench.other.clone() };
            tokio::spawn(async move { store.claim(id, &format!("worker {number}"), LONG).await })
        });
        let claims: Vec<_> = claims.collect();
        let mut won = Vec::new();
        for claim in claims {
            match claim.await.unwrap().unwrap() {
                ClaimOutcome::Claimed(claim) => won.push(claim),
                outcome => assert_eq!(outcome, ClaimOutcome::Taken),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        let upload = row(&*bench.store, id).await;
        assert_eq!((upload.owner.as_deref(), upload.fence), (Some(won[0].owner.as_str()), won[0].fence.number));
        assert!(upload.is_claimed());
    }
    assert_eq!(bench.store.claim(UploadId::new(), "one", LONG).await.unwrap(), ClaimOutcome::Taken);
}

pub async fn a_lease_that_ran_out_is_claimed_by_another(bench: &Bench) {
    let id = registered(&*bench.store).await;
    let first = claim(&*bench.store, id, "one", SHORT).await;
    let second = successor(&*bench.other, id, "two", LONG).await;
    assert!(second.fence.number > first.fence.number);
    assert_ne!(second.fence.nonce, first.fence.nonce);
    assert_eq!(bench.store.claim(id, "one", LONG).await.unwrap(), ClaimOutcome::Taken);
    let told = bench.store.events(id).await.unwrap();
    let last = told.last().unwrap();
    assert_eq!(last.worker.as_deref(), Some("two"));
    assert!(last.message.contains("one"), "{}", last.message);
}

pub async fn a_heartbeat_renews_the_lease_and_writes_the_progress(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    let before = row(store, claim.id).await;
    let progress = Progress { stage: Stage::Clean, done: 5, total: 9, unit: Unit::Bytes };
    assert_eq!(store.heartbeat(&claim, Some(progress)).await.unwrap(), Beat::Kept);
    let after = row(store, claim.id).await;
    assert!(after.lease_until_ms >= before.lease_until_ms);
    assert_eq!(after.progress, Some(progress));
    // Without news, and twice within a millisecond, it is kept all the same.
    for _ in 0..20 {
        assert_eq!(store.heartbeat(&claim, None).await.unwrap(), Beat::Kept);
    }
    assert_eq!(row(store, claim.id).await.progress, Some(progress));
    let short = userdata::upload::Claim { lease: SHORT, ..claim.clone() };
    store.heartbeat(&short, None).await.unwrap();
    successor(store, claim.id, "two", LONG).await;
}

pub async fn every_write_of_a_claim_that_was_taken_over_is_refused(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    let old = claim(store, id, "one", SHORT).await;
    archive(store, &old).await;
    let new = successor(&*bench.other, id, "two", LONG).await;
    store.take_over(&new).await.unwrap();
    let refused = async || {
        assert_lost("heartbeat", store.heartbeat(&old, None).await);
        assert_lost("reserve_archive_name", store.reserve_archive_name(&old, "x.csv").await);
        assert_lost("archived", store.archived(&old, None).await);
        assert_lost("split", store.split(&old, &cleaned(1), 1, &everything()).await);
        assert_lost("take_over", store.take_over(&old).await);
        assert_lost("is_next", store.is_next(&old).await);
        for state in [State::Done, State::Cancelled] {
            assert_lost("finish", store.finish(&old, &receipt(store, id, state).await).await);
        }
        assert_lost("fail", store.fail(&old, &failure("broken")).await);
        for why in [
            Release::HandedBack,
            Release::Waiting { service: Service::Archive, message: "down".into(), pause: LONG },
            Release::Unexpected { failure: failure("broken"), pause: LONG },
        ] {
            assert_lost("release", store.release(&old, why).await);
        }
    };
    refused().await;
    assert_eq!(state(store, id).await, State::Archived);
    store.split(&new, &cleaned(1), 1, &everything()).await.unwrap();
    refused().await;
    assert_lost("begin", store.begin(&old, 0, Existing::Keep).await);
    load(store, &new, block([("a", "a")]), true).await;
    store.finish(&new, &receipt(store, id, State::Done).await).await.unwrap();
    refused().await;
    assert_eq!(state(store, id).await, State::Done);
}

pub async fn what_is_handed_back_is_open_at_once(bench: &Bench) {
    let claim_one = claimed(&*bench.store, &new_upload()).await;
    bench.store.release(&claim_one, Release::HandedBack).await.unwrap();
    let upload = row(&*bench.store, claim_one.id).await;
    assert_eq!((upload.owner.as_deref(), upload.is_claimed(), upload.attempts), (None, false, 0));
    assert_lost("heartbeat", bench.store.heartbeat(&claim_one, None).await);
    assert_lost("archived", bench.store.archived(&claim_one, None).await);
    let second = claim(&*bench.other, claim_one.id, "two", LONG).await;
    assert!(second.fence.number > claim_one.fence.number);
}

pub async fn a_wait_is_kept_until_the_next_stage_is_finished(bench: &Bench) {
    let store = &*bench.store;
    let new = new_upload();
    let mut since = None;
    for message in ["530 Login incorrect", "connection refused"] {
        let claim = match since {
            None => claimed(store, &new).await,
            Some(_) => successor(store, new.id, "two", LONG).await,
        };
        assert_eq!(row(store, new.id).await.waiting.map(|waiting| waiting.since), since, "shown while it is tried");
        let why = Release::Waiting { service: Service::Archive, message: message.into(), pause: Duration::ZERO };
        store.release(&claim, why).await.unwrap();
        let waiting = row(store, new.id).await.waiting.expect("it waits");
        assert_eq!((waiting.service, waiting.next_try.is_some()), (Service::Archive, true));
        assert_eq!(waiting.message, format!("waiting for the archive: {message}"));
        assert_eq!(since.unwrap_or(waiting.since), waiting.since);
        since = Some(waiting.since);
    }
    let told = store.events(new.id).await.unwrap();
    let waits = told.iter().filter(|event| event.message.starts_with("waiting for the archive"));
    assert_eq!(waits.count(), 1, "a wait is told once: {told:?}");
    let claim = successor(store, new.id, "three", LONG).await;
    archive(store, &claim).await;
    assert_eq!(row(store, new.id).await.waiting, None);
}

pub async fn what_is_not_due_is_not_claimed(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    let why = Release::Waiting { service: Service::Source, message: "no route".into(), pause: LONG };
    store.release(&claim, why).await.unwrap();
    assert_eq!(store.claim(claim.id, "two", LONG).await.unwrap(), ClaimOutcome::Taken);
    assert!(store.candidates(0, 10).await.unwrap().is_empty());
    let upload = row(store, claim.id).await;
    assert!(upload.next_try_ms.unwrap() > upload.now_ms);
    assert_eq!(upload.waiting.unwrap().service, Service::Source);
}

pub async fn calls_whose_answer_was_lost_may_be_repeated(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    for _ in 0..2 {
        archive_once(bench, &claim).await;
        store.take_over(&claim).await.unwrap();
    }
    for _ in 0..2 {
        store.split(&claim, &cleaned(1), 1, &everything()).await.unwrap();
    }
    load(store, &claim, block([("a", "a")]), true).await;
    let receipt = receipt(store, claim.id, State::Done).await;
    for _ in 0..2 {
        store.finish(&claim, &receipt).await.unwrap();
    }
    let done = store.events(claim.id).await.unwrap();
    assert_eq!(done.iter().filter(|event| event.state == State::Done).count(), 1);

    let claim = claimed(store, &new_upload()).await;
    for _ in 0..2 {
        store.release(&claim, Release::HandedBack).await.unwrap();
    }
    let claim = claimed(store, &new_upload()).await;
    for _ in 0..2 {
        store.fail(&claim, &failure("broken")).await.unwrap();
    }
}

async fn archive_once(bench: &Bench, claim: &userdata::upload::Claim) {
    if state(&*bench.store, claim.id).await != State::Archived {
        for _ in 0..2 {
            assert!(bench.store.reserve_archive_name(claim, "x.csv").await.unwrap());
        }
    }
    bench.store.archived(claim, Some("aa")).await.unwrap();
}
