//! What an attempt counts that ended without being done.

use std::time::Duration;

use userdata::{
    error::Service,
    store::{ATTEMPTS_MAX, ClaimOutcome, Release},
    upload::State,
};

use super::{Bench, fixture::*};

/// Lets a worker die over it, as often as it takes to be counted out; gives the outcome after the last death.
async fn dies(bench: &Bench, id: userdata::upload::UploadId, times: u32) -> ClaimOutcome {
    for _ in 1..times {
        successor(&*bench.store, id, "doomed", SHORT).await;
    }
    claim_in_turn(&*bench.store, id, "doomed", SHORT).await
}

pub async fn three_deaths_in_a_row_fail_the_upload(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    assert!(matches!(dies(bench, id, ATTEMPTS_MAX).await, ClaimOutcome::Claimed(_)));
    assert_eq!(row(store, id).await.attempts, ATTEMPTS_MAX - 1);
    assert_eq!(claim_in_turn(store, id, "another", LONG).await, ClaimOutcome::Failed);
    let upload = row(store, id).await;
    assert_eq!((upload.state, upload.attempts, upload.owner.as_deref()), (State::Failed, ATTEMPTS_MAX, None));
    let failure = upload.failure.unwrap();
    assert_eq!(failure.code, "attempts_used_up");
    assert!(failure.message.contains("received") && failure.message.contains("doomed"), "{}", failure.message);
    assert_eq!(store.claim(id, "another", LONG).await.unwrap(), ClaimOutcome::Taken);
    assert!(store.candidates(0, 10).await.unwrap().is_empty());
    assert_eq!(store.events(id).await.unwrap().last().unwrap().state, State::Failed);
}

pub async fn a_finished_stage_is_not_counted(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    dies(bench, id, 2).await;
    let claim = successor(store, id, "one", SHORT).await;
    assert_eq!(row(store, id).await.attempts, 2);
    archive(store, &claim).await;
    successor(store, id, "two", LONG).await;
    assert_eq!(row(store, id).await.attempts, 0);
}

pub async fn a_moved_watermark_is_not_counted(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    let claim = successor(store, id, "one", SHORT).await;
    split(store, &claim, 100, &everything()).await;
    // Each one stores a user and dies: that gets on, however often.
    for number in 0..=ATTEMPTS_MAX {
        let claim = successor(store, id, "one", SHORT).await;
        assert_eq!(row(store, id).await.attempts, 0);
        store.take_over(&claim).await.unwrap();
        load(store, &claim, block([(number.to_string().as_str(), "x")]), false).await;
    }
    // Now they die without: three count, and the stage is named.
    successor(store, id, "one", SHORT).await;
    assert_eq!(row(store, id).await.attempts, 0);
    dies(bench, id, ATTEMPTS_MAX - 1).await;
    assert_eq!(claim_in_turn(store, id, "another", LONG).await, ClaimOutcome::Failed);
    let upload = row(store, id).await;
    assert!(upload.failure.unwrap().message.contains("loading"));
    assert_eq!(upload.counts.inserted, u64::from(ATTEMPTS_MAX) + 1);
}

pub async fn unexpected_ends_count_by_the_same_rule(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    let unexpected = || Release::Unexpected { failure: failure("surprise"), pause: Duration::ZERO };
    for number in 1..ATTEMPTS_MAX {
        let claim = successor(store, id, "one", LONG).await;
        store.release(&claim, unexpected()).await.unwrap();
        let upload = row(store, id).await;
        assert_eq!((upload.attempts, upload.state, upload.next_try_ms.is_some()), (number, State::Received, true));
    }
    let claim = successor(store, id, "one", LONG).await;
    archive(store, &claim).await;
    store.release(&claim, unexpected()).await.unwrap();
    assert_eq!(row(store, id).await.attempts, 0, "it had finished a stage");
    for _ in 0..ATTEMPTS_MAX {
        let claim = successor(store, id, "one", LONG).await;
        store.release(&claim, unexpected()).await.unwrap();
    }
    let upload = row(store, id).await;
    assert_eq!((upload.state, upload.attempts), (State::Failed, ATTEMPTS_MAX));
    let failure = upload.failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.next.as_deref()), ("attempts_used_up", Some("do something")));
    assert!(failure.message.contains("archived") && failure.message.contains("surprise"), "{}", failure.message);
}

pub async fn handing_back_and_waiting_count_nothing(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    for number in 0..3 * ATTEMPTS_MAX {
        let claim = successor(store, id, "one", LONG).await;
        let why = match number % 2 {
            0 => Release::HandedBack,
            _ => Release::Waiting { service: Service::Store, message: "gone".into(), pause: Duration::ZERO },
        };
        store.release(&claim, why).await.unwrap();
        assert_eq!(row(store, id).await.attempts, 0);
    }
}
