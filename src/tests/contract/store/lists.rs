//! What is found in the ledger, and in which order.

use std::time::Duration;

use userdata::{
    queue::Parked,
    store::{Content, Filter, Release, States, Store},
    upload::{NewUpload, State, Upload, UploadId},
};

use super::{Bench, fixture::*};

fn ids(uploads: &[Upload]) -> Vec<UploadId> {
    uploads.iter().map(Upload::id).collect()
}

async fn list(store: &dyn Store, filter: Filter) -> Vec<UploadId> {
    ids(&store.uploads(&filter).await.unwrap())
}

pub async fn the_newest_come_first_in_pages(bench: &Bench) {
    let store = &*bench.store;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.insert(0, registered(store).await);
    }
    assert_eq!(list(store, Filter::default()).await, all);
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.uploads(&Filter { before, limit: 2, ..Filter::default() }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, all);
}

pub async fn states_and_searches_narrow_the_list(bench: &Bench) {
    let store = &*bench.store;
    let mut named = Vec::new();
    for name in ["Report_2026.csv", "ReportX2026.csv", "100%.csv", "Übung!.csv"] {
        let mut new = new_upload();
        new.filename = name.into();
        named.push(register(store, &new).await);
    }
    let search = async |text: &str| {
        let mut found = list(store, Filter { search: Some(text.into()), ..Filter::default() }).await;
        found.reverse();
        found
    };
    assert_eq!(search("report").await, named[..2]);
    assert_eq!(search("t_2").await, named[..1]);
    assert_eq!(search("%").await, named[2..3]);
    assert_eq!(search("Übung!").await, named[3..]);
    assert_eq!(search("nowhere").await, []);
    let id = named[1].to_string();
    assert_eq!(search(&id).await, [named[1]]);
    assert_eq!(search(&id.to_uppercase()).await, [named[1]]);
    assert_eq!(search(&id[1..]).await, [], "an id is searched by its beginning");
    let claim = claim(store, named[2], "one", LONG).await;
    store.fail(&claim, &failure("broken")).await.unwrap();
    let by = |state| Filter { state: Some(States::One(state)), ..Filter::default() };
    assert_eq!(list(store, by(State::Failed)).await, [named[2]]);
    assert_eq!(list(store, by(State::Received)).await, [named[3], named[1], named[0]]);
    assert_eq!(list(store, by(State::Receiving)).await, []);
    let both = Filter { search: Some(".csv".into()), ..by(State::Failed) };
    assert_eq!(list(store, both).await, [named[2]]);
    let of = |states| Filter { state: Some(states), ..Filter::default() };
    assert_eq!(list(store, of(States::Open)).await, [named[3], named[1], named[0]]);
    assert_eq!(list(store, of(States::Ended)).await, [named[2]]);
}

pub async fn a_sender_s_own_are_told_from_those_of_others(bench: &Bench) {
    let store = &*bench.store;
    let mut sent = Vec::new();
    for sender in ["anna", "Anna", "anna ", "bert"] {
        sent.push(register(store, &NewUpload { sender: sender.into(), ..new_upload() }).await);
    }
    let by = |sender: &str| Filter { sender: Some(sender.into()), ..Filter::default() };
    for (sender, id) in ["anna", "Anna", "anna ", "bert"].into_iter().zip(sent) {
        assert_eq!(list(store, by(sender)).await, [id], "{sender:?}");
    }
    assert_eq!(list(store, by("an%")).await, []);
}

pub async fn the_same_content_is_found_again(bench: &Bench) {
    let store = &*bench.store;
    let sample = |digit: &str| Some(digit.repeat(64));
    let mut all = Vec::new();
    for (size, of) in [(10, sample("a")), (10, sample("b")), (11, sample("a")), (10, sample("a")), (10, None)] {
        all.push(register(store, &NewUpload { size, sample: of, ..new_upload() }).await);
    }
    let same = |of: &str, size| Filter { content: Some(Content { sample: of.repeat(64), size }), ..Filter::default() };
    assert_eq!(list(store, same("a", 10)).await, [all[3], all[0]]);
    assert_eq!(list(store, Filter { limit: 1, ..same("a", 10) }).await, [all[3]]);
    assert_eq!(list(store, same("a", 11)).await, [all[2]]);
    assert_eq!(list(store, same("c", 10)).await, []);
    assert_eq!(list(store, same("a", u64::MAX)).await, []);
}

pub async fn an_id_is_found_by_its_beginning(bench: &Bench) {
    let store = &*bench.store;
    let mut wanted = Vec::new();
    for number in [0xab_u128 << 120, (0xab << 120) + 1, 0xac << 120, 0x0f << 120] {
        let mut new = new_upload();
        new.id = UploadId(uuid::Uuid::from_u128(number));
        wanted.push(register(store, &new).await);
    }
    assert_eq!(store.find("ab", 10).await.unwrap(), wanted[..2]);
    assert_eq!(store.find("ab", 1).await.unwrap(), wanted[..1]);
    assert_eq!(store.find("a", 10).await.unwrap(), wanted[..3]);
    assert_eq!(store.find(&wanted[1].to_string(), 10).await.unwrap(), [wanted[1]]);
    assert_eq!(store.find("ab000000-", 10).await.unwrap(), wanted[..2]);
    assert_eq!(store.find("b", 10).await.unwrap(), []);
    assert_eq!(store.find("", 10).await.unwrap().len(), 4);
}

pub async fn candidates_are_the_oldest_that_are_free(bench: &Bench) {
    let store = &*bench.store;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(registered(store).await);
    }
    let free = async |limit| ids(&bench.other.candidates(0, limit).await.unwrap());
    assert_eq!(free(10).await, all);
    assert_eq!(free(2).await, all[..2]);
    let behind = async |id| ids(&bench.other.candidates(row(store, id).await.seq, 2).await.unwrap());
    assert_eq!(behind(all[1]).await, all[2..4]);
    assert_eq!(behind(all[4]).await, []);
    claim(store, all[0], "one", LONG).await;
    let ended = claim(store, all[1], "one", LONG).await;
    store.fail(&ended, &failure("broken")).await.unwrap();
    let back = claim(store, all[2], "one", LONG).await;
    store.release(&back, Release::HandedBack).await.unwrap();
    let later = claim(store, all[3], "one", LONG).await;
    store.release(&later, Release::Unexpected { failure: failure("x"), pause: LONG }).await.unwrap();
    assert_eq!(free(10).await, [all[2], all[4]]);
    claim(store, all[4], "one", SHORT).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while free(10).await != [all[2], all[4]] {
        assert!(tokio::time::Instant::now() < deadline, "a lease that ran out makes no candidate");
    }
}

pub async fn receipts_are_missing_until_they_are_copied(bench: &Bench) {
    let store = &*bench.store;
    failed(store, &new_upload()).await;
    let mut expected = Vec::new();
    for state in [State::Done, State::Failed, State::Cancelled] {
        let claim = claimed(store, &new_upload()).await;
        split(store, &claim, 0, &[]).await;
        assert_eq!(store.receipts_missing(10).await.unwrap().len(), expected.len(), "an open one has none yet");
        match state {
            State::Failed => store.fail(&claim, &failure("broken")).await.unwrap(),
            state => store.finish(&claim, &receipt(store, claim.id, state).await).await.unwrap(),
        }
        expected.push(claim.id);
    }
    let missing = async |limit| ids(&store.receipts_missing(limit).await.unwrap());
    assert_eq!(missing(10).await, expected);
    assert_eq!(missing(1).await, expected[..1]);
    assert!(store.take_receipt(expected[1], LONG).await.unwrap());
    assert!(!store.take_receipt(expected[1], LONG).await.unwrap(), "two would copy it at once");
    assert!(store.take_receipt(expected[2], SHORT).await.unwrap());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !store.take_receipt(expected[2], SHORT).await.unwrap() {
        assert!(tokio::time::Instant::now() < deadline, "who died over the copy keeps it for ever");
    }
    for _ in 0..2 {
        store.receipt_copied(expected[1]).await.unwrap();
    }
    assert!(row(store, expected[1]).await.receipt_copied);
    assert!(!store.take_receipt(expected[1], LONG).await.unwrap(), "it is there already");
    assert_eq!(missing(10).await, [expected[0], expected[2]]);
    // Opened again, it will have another receipt.
    store.retry(expected[1], &Default::default()).await.unwrap();
    let again = claim(store, expected[1], "two", LONG).await;
    store.fail(&again, &failure("broken")).await.unwrap();
    assert_eq!(missing(10).await, expected);
}

pub async fn what_was_begun_in_the_archive_is_listed_until_it_is_removed(bench: &Bench) {
    let store = &*bench.store;
    failed(store, &new_upload()).await;
    let mut ended = Vec::new();
    for cancelled in [false, true] {
        let claim = claimed(store, &new_upload()).await;
        assert!(store.reserve_archive_name(&claim, &format!("{}.csv", claim.id)).await.unwrap());
        assert_eq!(ids(&store.begun_in_archive(10).await.unwrap()), ended, "an open one goes on");
        if cancelled {
            store.release(&claim, Release::HandedBack).await.unwrap();
            store.cancel(claim.id).await.unwrap();
        } else {
            store.fail(&claim, &failure("gone")).await.unwrap();
        }
        ended.push(claim.id);
    }
    let archived = claimed(store, &new_upload()).await;
    split(store, &archived, 0, &[]).await;
    store.fail(&archived, &failure("broken")).await.unwrap();
    assert_eq!(ids(&store.begun_in_archive(10).await.unwrap()), ended);
    assert_eq!(ids(&store.begun_in_archive(1).await.unwrap()), ended[..1]);
    assert!(store.take_receipt(ended[0], LONG).await.unwrap());
    assert!(!store.take_receipt(ended[0], LONG).await.unwrap(), "two would remove it at once");
    store.receipt_copied(ended[0]).await.unwrap();
    assert_eq!(ids(&store.begun_in_archive(10).await.unwrap()), ended[1..]);
}

pub async fn what_was_parked_is_read_in_order(bench: &Bench) {
    let store = &*bench.store;
    let message = |value: Option<&[u8]>, size| Parked {
        value: value.map(Into::into),
        reason: "it is not an announcement: \u{fffd} 😀".into(),
        position: "local/0@42".into(),
        size,
    };
    let long = vec![b'['; 1 << 20];
    let messages =
        [message(None, 0), message(Some(b""), 0), message(Some(&[0, 255, 39, 92]), 4), message(Some(&long), 5 << 20)];
    for message in &messages {
        store.park(message).await.unwrap();
    }
    assert_eq!(bench.other.parked(10).await.unwrap(), messages);
    assert_eq!(store.parked(2).await.unwrap(), messages[..2]);
}
