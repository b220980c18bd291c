//! The stages of a file, one after the other, and how it ends.

use userdata::{
    archive::StoredFile,
    rows::Existing,
    store::{Bounds, PartFile, Release, Retry},
    upload::{Cleaned, ReasonCount, State},
};

use super::{Bench, fixture::*};

pub async fn an_upload_goes_all_the_way_and_its_history_tells_it(bench: &Bench) {
    let store = &*bench.store;
    let mut new = new_upload();
    new.sha256 = None;
    let claim = claimed(store, &new).await;
    assert!(store.reserve_archive_name(&claim, "2026/11/users.csv").await.unwrap());
    let upload = row(store, new.id).await;
    assert_eq!((upload.state, upload.archive_name.as_deref()), (State::Archiving, Some("2026/11/users.csv")));
    assert_eq!(upload.archived_ms, None);
    store.archived(&claim, Some("abcd")).await.unwrap();
    let upload = row(store, new.id).await;
    assert_eq!((upload.state, upload.new.sha256.as_deref()), (State::Archived, Some("abcd")));
    assert!(upload.archived_ms.is_some());
    let reason =
        ReasonCount { field: "id".into(), code: "id_empty".into(), count: 2, first_line: 3, example: "\"\"".into() };
    let cleaned = Cleaned { read: 5, good: 3, rejected: 2, reasons: vec![reason], ..cleaned(3) };
    store.split(&claim, &cleaned, 4, &[bounds(None, Some("m")), bounds(Some("m"), None)]).await.unwrap();
    let upload = row(store, new.id).await;
    assert_eq!((upload.state, upload.rules, upload.cleaned), (State::Loading, Some(4), Some(cleaned)));
    assert_eq!((upload.counts.read, upload.counts.rejected, upload.counts.inserted), (5, 2, 0));
    for (part, id) in [(0, "a"), (1, "z")] {
        let mut load = store.begin(&claim, part, Existing::Keep).await.unwrap();
        let mut users = block([(id, "x")]);
        users.good += u64::from(part);
        load.put(users).await.unwrap();
        load.commit(true).await.unwrap();
    }
    let receipt = receipt(store, new.id, State::Done).await;
    assert_eq!((receipt.counts.inserted, receipt.counts.repeated_in_file, receipt.counts.duplicates), (2, 1, 1));
    store.finish(&claim, &receipt).await.unwrap();
    let upload = row(store, new.id).await;
    assert_eq!((upload.state, upload.receipt), (State::Done, Some(receipt.clone())));
    assert_eq!((upload.counts, upload.owner, upload.next_try_ms), (receipt.counts, None, None));
    assert!(upload.finished_ms.is_some());
    let told = store.events(new.id).await.unwrap();
    let states: Vec<_> = told.iter().map(|event| event.state).collect();
    use State::*;
    assert_eq!(states, [Received, Received, Archiving, Archived, Loading, Done]);
    assert!(told.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert!(told[1..].iter().all(|event| event.worker.as_deref() == Some("one") && event.attempt == 1), "{told:?}");
    assert!(told.iter().all(|event| event.version == env!("CARGO_PKG_VERSION")));
    assert_eq!((told[0].worker.as_deref(), told[0].attempt), (None, 0));
}

pub async fn a_name_in_the_archive_belongs_to_one_upload(bench: &Bench) {
    let store = &*bench.store;
    let first = claimed(store, &new_upload()).await;
    let second = claimed(store, &new_upload()).await;
    assert!(store.reserve_archive_name(&first, "x.csv").await.unwrap());
    assert!(store.reserve_archive_name(&first, "x.csv").await.unwrap());
    assert!(!store.reserve_archive_name(&second, "x.csv").await.unwrap());
    assert_eq!(row(store, second.id).await.state, State::Received);
    for name in ["X.csv", "x.csv ", "ẋ.csv"] {
        let claim = claimed(store, &new_upload()).await;
        assert!(store.reserve_archive_name(&claim, name).await.unwrap(), "{name:?} is another name");
    }
    assert_fatal(store.reserve_archive_name(&first, "y.csv").await, "archive_name_chosen");
    // A successor finds the name and goes on with it.
    store.release(&first, Release::HandedBack).await.unwrap();
    let third = claim(store, first.id, "two", LONG).await;
    assert!(store.reserve_archive_name(&third, "x.csv").await.unwrap());
    store.archived(&third, None).await.unwrap();
    assert_fatal(store.reserve_archive_name(&third, "x.csv").await, "wrong_state");
    // Bytes that another upload has in the archive are not stored twice.
    store.archived(&second, None).await.unwrap();
    let upload = row(store, second.id).await;
    assert_eq!((upload.state, upload.archive_name), (State::Archived, None));
}

pub async fn a_load_is_split_once(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    assert_fatal(store.split(&claim, &cleaned(1), 1, &everything()).await, "wrong_state");
    assert!(store.parts(claim.id).await.unwrap().is_empty());
    let edges = ["a\u{0}", "é", "😀".repeat(255).leak()];
    let ranges = [
        bounds(None, Some(edges[0])),
        bounds(Some(edges[0]), Some(edges[1])),
        bounds(Some(edges[1]), Some(edges[2])),
        bounds(Some(edges[2]), None),
    ];
    let parts = split(store, &claim, 9, &ranges).await;
    assert_eq!(parts.iter().map(|part| part.bounds.clone()).collect::<Vec<_>>(), ranges);
    assert!(parts.iter().zip(0..).all(|(part, number)| part.number == number && !part.finished));
    assert_eq!(store.split(&claim, &cleaned(77), 2, &everything()).await.unwrap(), parts);
    assert_eq!(bench.other.parts(claim.id).await.unwrap(), parts);
    let upload = row(store, claim.id).await;
    assert_eq!((upload.cleaned, upload.rules), (Some(cleaned(9)), Some(1)));
    assert_fatal(store.begin(&claim, 4, Existing::Keep).await, "no_such_range");
}

pub async fn parts_are_accepted_with_their_ranges_once(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    archive(store, &claim).await;
    let part = |name: &str, good| PartFile {
        file: StoredFile { name: format!("parts/{name}"), size: 7, sha256: "ab".repeat(32) },
        rows: 1,
        good,
    };
    let parts = [(bounds(None, Some("m")), part("a", 2)), (bounds(Some("x"), None), part("b", 1))];
    let overlapping = [parts[1].clone(), parts[0].clone()];
    assert_fatal(store.accept(&claim, &cleaned(3), 1, &overlapping).await, "ranges_overlap");
    let accepted = store.accept(&claim, &cleaned(3), 1, &parts).await.unwrap();
    let found: Vec<_> = accepted.iter().cloned().map(|part| (part.bounds, part.file.unwrap())).collect();
    assert_eq!(found, parts);
    assert_eq!(store.accept(&claim, &cleaned(4), 1, &parts[..1]).await.unwrap(), accepted);
    assert_eq!(bench.other.parts(claim.id).await.unwrap(), accepted);
    let moved = load(store, &claim, block([("a", "a")]), true).await;
    assert_eq!(moved.file, accepted[0].file, "a load leaves the part's name where it is");
    assert_eq!(store.parts(claim.id).await.unwrap()[0], moved);
}

pub async fn ranges_that_overlap_are_refused(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    archive(store, &claim).await;
    let wrong: [&[Bounds]; 4] = [
        &[bounds(None, Some("m")), bounds(Some("l"), None)],
        &[bounds(None, None), bounds(Some("l"), None)],
        &[bounds(Some("m"), Some("m"))],
        &[bounds(Some("m"), None), bounds(None, Some("m"))],
    ];
    for ranges in wrong {
        assert_fatal(store.split(&claim, &cleaned(1), 1, ranges).await, "ranges_overlap");
    }
    assert_eq!(state(store, claim.id).await, State::Archived);
    assert!(store.parts(claim.id).await.unwrap().is_empty());
}

pub async fn a_load_without_ranges_is_done(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    split(store, &claim, 0, &[]).await;
    store.finish(&claim, &receipt(store, claim.id, State::Done).await).await.unwrap();
    assert_eq!(state(store, claim.id).await, State::Done);
}

pub async fn done_needs_every_range_and_every_good_row(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    let done = receipt(store, claim.id, State::Done).await;
    assert_fatal(store.finish(&claim, &done).await, "wrong_state");
    assert_fatal(store.finish(&claim, &receipt(store, claim.id, State::Failed).await).await, "receipt_state");
    split(store, &claim, 3, &everything()).await;
    load(store, &claim, block([("a", "a")]), false).await;
    assert_fatal(store.finish(&claim, &done).await, "ranges_unfinished");
    load(store, &claim, block([("b", "b")]), true).await;
    let error = assert_fatal(store.finish(&claim, &done).await, "rows_lost");
    assert!(error.doing.contains("3 good rows") && error.doing.contains("for 2"), "{error}");
    assert_eq!(state(store, claim.id).await, State::Loading);
}

pub async fn a_failed_upload_says_why(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    store.fail(&claim, &failure("too_many_rejects")).await.unwrap();
    let upload = row(store, claim.id).await;
    assert_eq!((upload.state, upload.failure), (State::Failed, Some(failure("too_many_rejects"))));
    assert_eq!((upload.owner, upload.finished_ms.is_some()), (None, true));
    let told = store.events(claim.id).await.unwrap();
    assert_eq!(told.last().unwrap().message, failure("too_many_rejects").message);
}

pub async fn what_cleaning_found_is_kept_of_a_file_that_is_not_loaded(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    let found = Cleaned { read: 3, rejected: 3, ..Cleaned::default() };
    store.archived(&claim, None).await.unwrap();
    store.note_cleaned(&claim, &found).await.unwrap();
    store.fail(&claim, &failure("no_good_rows")).await.unwrap();
    let upload = row(store, claim.id).await;
    assert_eq!((upload.cleaned, upload.counts.read, upload.counts.rejected), (Some(found.clone()), 3, 3));
    assert_lost("note_cleaned", store.note_cleaned(&claim, &found).await);
    store.retry(claim.id, &Retry::default()).await.unwrap();
    assert_eq!(row(store, claim.id).await.cleaned, None, "opened again, it is to be cleaned again");
}

pub async fn what_nobody_works_on_can_be_abandoned(bench: &Bench) {
    let store = &*bench.store;
    let id = registered(store).await;
    let held = claim(store, id, "one", LONG).await;
    assert!(!store.abandon(id, &failure("unreachable")).await.unwrap());
    store.release(&held, Release::HandedBack).await.unwrap();
    assert!(store.abandon(id, &failure("unreachable")).await.unwrap());
    assert!(!store.abandon(id, &failure("again")).await.unwrap());
    let upload = row(store, id).await;
    assert_eq!((upload.state, upload.failure), (State::Failed, Some(failure("unreachable"))));
    assert!(!store.abandon(userdata::upload::UploadId::new(), &failure("unknown")).await.unwrap());
}
