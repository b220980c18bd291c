//! What the ledger promises where many write at once: loads lock their own range and nothing else.

use std::{sync::Arc, time::Duration};

use userdata::{
    rows::Existing,
    store::{Beat, Bounds, CancelOutcome, ClaimOutcome, Store, ledger::Ledger},
    upload::{Claim, Cleaned, UploadId},
};

use crate::{
    on_both,
    server::{Server, block, upload},
};

on_both! {
    heartbeats_and_requests_do_not_wait_for_an_open_load
    a_successor_keeps_its_claim_while_it_waits_for_its_predecessor
    ranges_load_beside_each_other
}

/// Far less than a lock is waited for.
const AT_ONCE: Duration = Duration::from_secs(3);

async fn at_once<T>(what: &str, done: impl Future<Output = userdata::error::Result<T>>) -> T {
    tokio::time::timeout(AT_ONCE, done).await.unwrap_or_else(|_| panic!("{what} waited for a lock")).unwrap()
}

async fn claim(store: &dyn Store, id: UploadId, owner: &str, lease: Duration) -> Claim {
    for _ in 0..3000 {
        match store.claim(id, owner, lease).await.unwrap() {
            ClaimOutcome::Claimed(claim) => return claim,
            ClaimOutcome::Taken => tokio::time::sleep(Duration::from_millis(10)).await,
            ClaimOutcome::Failed => break,
        }
    }
    panic!("{owner} could not claim upload {id}");
}

/// An upload of two ranges, being loaded.
async fn loading(store: &dyn Store, lease: Duration) -> Claim {
    let new = upload();
    assert!(store.register(&new).await.unwrap());
    let claim = claim(store, new.id, "old", lease).await;
    store.archived(&claim, None).await.unwrap();
    let middle = Some(b"m".to_vec());
    let bounds = [Bounds { low: None, high: middle.clone() }, Bounds { low: middle, high: None }];
    store.split(&claim, &Cleaned::default(), 1, &bounds).await.unwrap();
    claim
}

async fn heartbeats_and_requests_do_not_wait_for_an_open_load(server: Server) {
    let store = Ledger::new(server.initialized().await);
    let claim = loading(&store, Duration::from_secs(60)).await;
    let mut load = store.begin(&claim, 0, Existing::Keep).await.unwrap();
    load.put(block([("a", "a", "t")])).await.unwrap();
    assert_eq!(at_once("a heartbeat", store.heartbeat(&claim, None)).await, Beat::Kept);
    assert!(at_once("the list", store.upload(claim.id)).await.is_some());
    assert_eq!(at_once("a cancellation", store.cancel(claim.id)).await, CancelOutcome::Asked);
    assert_eq!(at_once("a heartbeat", store.heartbeat(&claim, None)).await, Beat::CancelAsked);
    at_once("the other range", store.begin(&claim, 1, Existing::Keep)).await;
    assert_eq!(load.commit(false).await.unwrap().stored.inserted, 1);
    server.dropped().await;
}

async fn a_successor_keeps_its_claim_while_it_waits_for_its_predecessor(server: Server) {
    let store = Arc::new(Ledger::new(server.initialized().await));
    let old = loading(&*store, Duration::from_millis(50)).await;
    let mut open = store.begin(&old, 0, Existing::Keep).await.unwrap();
    open.put(block([("a", "a", "t")])).await.unwrap();
    let new = claim(&*store, old.id, "new", Duration::from_secs(60)).await;
    let (waiting, claimed) = (store.clone(), new.clone());
    let mut taking = tokio::spawn(async move { waiting.take_over(&claimed).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut taking).await.is_err(), "it must wait");
    assert_eq!(at_once("a heartbeat", store.heartbeat(&new, None)).await, Beat::Kept);
    drop(open);
    taking.await.unwrap().unwrap();
    assert_eq!(store.parts(new.id).await.unwrap()[0].watermark, None);
    server.dropped().await;
}

async fn ranges_load_beside_each_other(server: Server) {
    let store = Ledger::new(server.initialized().await);
    let claim = loading(&store, Duration::from_secs(60)).await;
    let mut first = at_once("range 0", store.begin(&claim, 0, Existing::Replace)).await;
    let mut second = at_once("range 1", store.begin(&claim, 1, Existing::Replace)).await;
    at_once("range 1", second.put(block([("m", "m", "t"), ("z", "z", "t")]))).await;
    at_once("range 0", first.put(block([("a", "a", "t"), ("l\u{10ffff}", "l", "t")]))).await;
    assert_eq!(at_once("range 1", second.commit(true)).await.stored.inserted, 2);
    assert_eq!(at_once("range 0", first.commit(true)).await.stored.inserted, 2);
    assert_eq!(server.users().await.len(), 4);
    server.dropped().await;
}
