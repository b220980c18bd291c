//! Two workers over one load: what the older one has open, and what it may still do.

use std::{sync::Arc, time::Duration};

use userdata::{
    rows::Existing,
    store::{Beat, ClaimOutcome, Part, RangeLoad, Store},
    upload::{Claim, UploadId},
};

use super::{Bench, fixture::*};

/// A load with one user stored; its worker stops answering with another one put and not committed.
async fn stopped(bench: &Bench) -> (Claim, Box<dyn RangeLoad>) {
    let store = &*bench.store;
    let id = registered(store).await;
    let claim = claim(store, id, "old", SHORT).await;
    split(store, &claim, 3, &everything()).await;
    load(store, &claim, block([("a", "a")]), false).await;
    let mut open = begin(store, &claim, Existing::Keep).await;
    open.put(block([("b", "b")])).await.unwrap();
    (claim, open)
}

/// Claims, takes over, and only then reads the ranges.
async fn succeeds(store: Arc<dyn Store>, id: UploadId) -> (Claim, Vec<Part>) {
    let claim = successor(&*store, id, "new", LONG).await;
    store.take_over(&claim).await.unwrap();
    let parts = store.parts(id).await.unwrap();
    (claim, parts)
}

pub async fn a_successor_waits_for_an_open_load_and_goes_on_behind_it(bench: &Bench) {
    for commits in [true, false] {
        let (old, open) = stopped(bench).await;
        let mut successor = tokio::spawn(succeeds(bench.other.clone(), old.id));
        let early = tokio::time::timeout(Duration::from_millis(400), &mut successor).await;
        assert!(early.is_err(), "it must not read a watermark that an open transaction may still move");
        let watermark = if commits {
            open.commit(false).await.unwrap().watermark
        } else {
            drop(open);
            Some(b"a".to_vec())
        };
        let (new, parts) = successor.await.unwrap();
        assert_eq!(parts[0].watermark, watermark);
        assert_lost("begin", bench.store.begin(&old, 0, Existing::Keep).await);
        let rest: &[(&str, &str)] = if commits { &[("c", "c")] } else { &[("b", "b"), ("c", "c")] };
        let part = load(&*bench.other, &new, block(rest.iter().copied()), true).await;
        assert_eq!((part.stored.good, part.stored.distinct), (3, 3));
    }
}

pub async fn after_the_successor_took_over_the_old_one_stores_nothing(bench: &Bench) {
    let store = &*bench.store;
    let (old, open) = stopped(bench).await;
    drop(open);
    let (new, parts) = succeeds(bench.other.clone(), old.id).await;
    assert_eq!(parts[0].stored.good, 1);
    assert_lost("begin", store.begin(&old, 0, Existing::Keep).await);
    assert_eq!(bench.other.heartbeat(&new, None).await.unwrap(), Beat::Kept);
    // A claim that has not taken over yet does not load either.
    let release = userdata::store::Release::HandedBack;
    bench.other.release(&new, release).await.unwrap();
    let third = claim(store, old.id, "third", LONG).await;
    assert_lost("begin", store.begin(&third, 0, Existing::Keep).await);
    store.take_over(&third).await.unwrap();
    load(store, &third, block([("b", "b"), ("c", "c")]), true).await;
    assert_eq!(bench.table.users().await.len(), 3);
}

pub async fn a_late_take_over_of_an_old_claim_is_refused(bench: &Bench) {
    let (first, open) = stopped(bench).await;
    drop(open);
    let second = successor(&*bench.store, first.id, "second", SHORT).await;
    let third = successor(&*bench.other, first.id, "third", LONG).await;
    assert_lost("take_over", bench.store.take_over(&second).await);
    bench.other.take_over(&third).await.unwrap();
    assert_lost("take_over", bench.store.take_over(&second).await);
    load(&*bench.other, &third, block([("b", "b")]), false).await;
}

/// One worker loads without a pause, another one in another process has a file of its own. Both leases are shorter
/// than the loads together: only heartbeats keep them.
pub async fn heartbeats_go_on_beside_loads(bench: &Bench) {
    const LEASE: Duration = Duration::from_secs(2);
    let claim = claim(&*bench.store, registered(&*bench.store).await, "one", LEASE).await;
    let beside = claim_beside(bench, LEASE).await;
    split(&*bench.store, &claim, 1_000_000, &everything()).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let hearts = [(bench.store.clone(), claim.clone()), (bench.other.clone(), beside.clone())].map(|(store, claim)| {
        let stopped = stopped.clone();
        tokio::spawn(async move {
            let mut beats = 0;
            while !*stopped.borrow() {
                assert_eq!(store.heartbeat(&claim, None).await.unwrap(), Beat::Kept);
                beats += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            beats
        })
    });
    let started = tokio::time::Instant::now();
    let mut number = 0;
    while started.elapsed() < 2 * LEASE {
        let ids: Vec<_> = (0..200).map(|step| format!("{:08}", number + step)).collect();
        load(&*bench.store, &claim, block(ids.iter().map(|id| (id.as_str(), "x"))), false).await;
        for id in [claim.id, beside.id] {
            assert_eq!(bench.other.claim(id, "third", LONG).await.unwrap(), ClaimOutcome::Taken);
        }
        number += 200;
    }
    stop.send(true).unwrap();
    for heart in hearts {
        let beats = heart.await.unwrap();
        assert!(beats >= 10, "{beats} heartbeats in {:?}", started.elapsed());
    }
}

async fn claim_beside(bench: &Bench, lease: Duration) -> Claim {
    let id = registered(&*bench.other).await;
    claim(&*bench.other, id, "two", lease).await
}
