//! By what others see that an upload has changed.

use std::{collections::HashSet, time::Duration};

use userdata::{
    error::Service,
    store::{Mark, Release, Store},
    upload::{Progress, Stage, State, Unit, UploadId},
};

use super::{Bench, fixture::*};

async fn mark(store: &dyn Store, id: UploadId) -> Option<Mark> {
    store.marks(LONG).await.unwrap().into_iter().find(|mark| mark.id == id)
}

pub async fn every_change_of_an_upload_changes_its_mark(bench: &Bench) {
    let (store, other) = (&*bench.store, &*bench.other);
    let id = registered(store).await;
    let mut seen = HashSet::new();
    let mut changed = async |what: &str| {
        let mark = mark(other, id).await.expect("it is marked");
        assert!(seen.insert(mark.version), "{what} changes the mark");
        assert_eq!(mark.open, state(store, id).await.is_open(), "{what}");
    };
    changed("being registered").await;
    store.announced(id).await.unwrap();
    changed("its announcement").await;
    store.note_unclaimed(id, "nobody reaches it").await.unwrap();
    changed("a note").await;
    let first = claim(store, id, "one", LONG).await;
    changed("a claim").await;
    let progress = Progress { stage: Stage::Archive, done: 1, total: 2, unit: Unit::Bytes };
    store.heartbeat(&first, Some(progress)).await.unwrap();
    changed("progress").await;
    store.release(&first, Release::HandedBack).await.unwrap();
    changed("being handed back").await;
    let claim = claim(store, id, "two", LONG).await;
    changed("another claim").await;
    archive(store, &claim).await;
    changed("being archived").await;
    store.split(&claim, &cleaned(0), 1, &[]).await.unwrap();
    changed("being split").await;
    store.cancel(id).await.unwrap();
    changed("the wish to cancel it").await;
    store.finish(&claim, &receipt(store, id, State::Cancelled).await).await.unwrap();
    changed("its end").await;
    store.receipt_copied(id).await.unwrap();
    changed("its receipt").await;
    store.retry(id, &Default::default()).await.unwrap();
    changed("being opened again").await;
    let claim = successor(store, id, "three", LONG).await;
    let waiting = Release::Waiting { service: Service::Archive, message: "530".into(), pause: LONG };
    store.release(&claim, waiting).await.unwrap();
    changed("waiting").await;
    store.cancel(id).await.unwrap();
    changed("being cancelled").await;
    let before = mark(other, id).await;
    store.upload(id).await.unwrap();
    assert_eq!(mark(other, id).await, before, "to look at it changes nothing");
}

pub async fn what_ended_is_marked_for_the_time_that_was_asked_for(bench: &Bench) {
    let store = &*bench.store;
    let (open, ended) = (registered(store).await, failed(store, &new_upload()).await);
    let marked = async |within| {
        let mut marks = store.marks(within).await.unwrap();
        marks.sort_by_key(|mark| !mark.open);
        marks.into_iter().map(|mark| (mark.id, mark.open)).collect::<Vec<_>>()
    };
    assert_eq!(marked(LONG).await, [(open, true), (ended, false)]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while marked(SHORT).await != [(open, true)] {
        assert!(tokio::time::Instant::now() < deadline, "what ended is marked for ever");
    }
}

pub async fn uploads_are_read_by_their_ids(bench: &Bench) {
    let store = &*bench.store;
    let mut wanted = HashSet::new();
    for _ in 0..3 {
        wanted.insert(registered(store).await);
    }
    let other = registered(store).await;
    // More than one statement takes.
    let strangers = (0..250).map(|_| UploadId::new());
    let asked: Vec<_> = wanted.iter().copied().chain(strangers).collect();
    let found = store.uploads_of(&asked).await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found.iter().map(userdata::upload::Upload::id).collect::<HashSet<_>>(), wanted);
    assert_eq!(store.uploads_of(&[other]).await.unwrap().len(), 1);
    assert!(store.uploads_of(&[]).await.unwrap().is_empty());
}
