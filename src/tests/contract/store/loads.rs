//! What loads store, and what they count.

use userdata::{
    rows::{Existing, User, UserBlock},
    store::{Part, Store},
    upload::{Claim, Stored},
};

use super::{
    Bench, Users,
    fixture::{self, *},
};

async fn loading(store: &dyn Store) -> Claim {
    let claim = claimed(store, &new_upload()).await;
    split(store, &claim, 1000, &everything()).await;
    claim
}

async fn names(bench: &Bench) -> Vec<(String, String)> {
    bench.table.users().await.into_iter().map(|(id, name, _)| (id, name)).collect()
}

fn pairs(users: &[(&str, &str)]) -> Vec<(String, String)> {
    users.iter().map(|(id, name)| ((*id).into(), (*name).into())).collect()
}

pub async fn keep_stores_what_is_absent_and_counts_the_rest(bench: &Bench) {
    let store = &*bench.store;
    let claim = loading(store).await;
    let mut load = begin(store, &claim, Existing::Keep).await;
    assert_eq!(load.part(), &Part::default());
    let mut users = UserBlock::default();
    let user = |id| User { id, name: id, time_of_start: "t" };
    users.push(user("b"), 3, true);
    users.push(user("d"), 1, false);
    load.put(users).await.unwrap();
    load.put(block([("f", "f"), ("h", "h")])).await.unwrap();
    let part = load.commit(false).await.unwrap();
    let stored = Stored { good: 6, distinct: 4, conflicting: 1, inserted: 4, replaced: 0 };
    assert_eq!((part.stored, part.watermark.as_deref(), part.finished), (stored, Some(&b"h"[..]), false));
    assert_eq!(store.parts(claim.id).await.unwrap(), std::slice::from_ref(&part));

    // Another upload brings some of them again, with other names, and new ones between.
    let second = loading(store).await;
    let part = load_all(store, &second, Existing::Keep, &[("a", "new"), ("b", "new"), ("d", "d"), ("z", "new")]).await;
    let stored = Stored { good: 4, distinct: 4, conflicting: 0, inserted: 2, replaced: 0 };
    assert_eq!((part.stored, part.finished), (stored, true));
    let expected = [("a", "new"), ("b", "b"), ("d", "d"), ("f", "f"), ("h", "h"), ("z", "new")];
    assert_eq!(names(bench).await, pairs(&expected));
    let counts = row(store, second.id).await.counts;
    assert_eq!((counts.inserted, counts.already_present, counts.duplicates), (2, 2, 2));
    // The end of a range may be noted without a row, and nothing comes after it.
    let part = begin(store, &claim, Existing::Keep).await.commit(true).await.unwrap();
    assert_eq!((part.watermark.as_deref(), part.finished), (Some(&b"h"[..]), true));
    let mut load = begin(store, &claim, Existing::Keep).await;
    assert_fatal(load.put(block([("i", "i")])).await, "range_finished");
}

async fn load_all(store: &dyn Store, claim: &Claim, existing: Existing, users: &[(&str, &str)]) -> Part {
    let mut load = begin(store, claim, existing).await;
    load.put(block(users.iter().copied())).await.unwrap();
    load.commit(true).await.unwrap()
}

pub async fn replace_stores_what_differs_and_counts_it_apart(bench: &Bench) {
    let store = &*bench.store;
    let first = loading(store).await;
    load_all(store, &first, Existing::Keep, &[("a", "old"), ("b", "same"), ("c", "old"), ("d", "untouched")]).await;
    let second = loading(store).await;
    let users = [("A", "new"), ("a", "new"), ("b", "same"), ("c", "new"), ("e", "new")];
    let part = load_all(store, &second, Existing::Replace, &users).await;
    let stored = Stored { good: 5, distinct: 5, conflicting: 0, inserted: 2, replaced: 2 };
    assert_eq!(part.stored, stored);
    let expected = [("A", "new"), ("a", "new"), ("b", "same"), ("c", "new"), ("d", "untouched"), ("e", "new")];
    assert_eq!(names(bench).await, pairs(&expected));
    // A row that differs in its time alone, or only in case, is another row.
    let third = loading(store).await;
    let mut users = UserBlock::default();
    users.push(User { id: "a", name: "new", time_of_start: "2018-01-01T00:00:00.000Z" }, 1, false);
    users.push(User { id: "b", name: "SAME", time_of_start: "2017-03-07T00:30:54.000Z" }, 1, false);
    users.push(User { id: "c", name: "new ", time_of_start: "2017-03-07T00:30:54.000Z" }, 1, false);
    let mut load = begin(store, &third, Existing::Replace).await;
    load.put(users).await.unwrap();
    let part = load.commit(true).await.unwrap();
    assert_eq!((part.stored.inserted, part.stored.replaced), (0, 3));
    let table = bench.table.users().await;
    assert_eq!(table[1].2, "2018-01-01T00:00:00.000Z");
    assert_eq!((table[2].1.as_str(), table[3].1.as_str()), ("SAME", "new "));
}

pub async fn a_dropped_load_changes_nothing(bench: &Bench) {
    let store = &*bench.store;
    let claim = loading(store).await;
    let before = load(store, &claim, block([("a", "a")]), false).await;
    for existing in [Existing::Keep, Existing::Replace] {
        let mut load = begin(store, &claim, existing).await;
        load.put(block([("b", "b"), ("c", "c")])).await.unwrap();
        drop(load);
        assert_eq!(store.parts(claim.id).await.unwrap(), std::slice::from_ref(&before));
        assert_eq!(names(bench).await, pairs(&[("a", "a")]));
    }
    // Nor one that is dropped in the middle of a call.
    let mut load = begin(store, &claim, Existing::Keep).await;
    let many: Vec<_> = (0..20_000).map(|number| format!("m{number:06}")).collect();
    let users = block(many.iter().map(|id| (id.as_str(), "x")));
    let cut = tokio::time::timeout(std::time::Duration::from_millis(1), load.put(users.clone())).await;
    drop(load);
    let part = fixture::load(store, &claim, users, true).await;
    assert_eq!((part.stored.inserted, part.stored.distinct), (20_001, 20_001), "{cut:?}");
}

pub async fn blocks_out_of_order_are_refused(bench: &Bench) {
    let store = &*bench.store;
    let claim = claimed(store, &new_upload()).await;
    split(store, &claim, 10, &[bounds(Some("b"), Some("y"))]).await;
    load(store, &claim, block([("d", "d")]), false).await;
    for wrong in [&["c"][..], &["d"], &["e", "e"], &["f", "e"], &["x", "y"], &["e", "z"], &["a"]] {
        let mut load = begin(store, &claim, Existing::Keep).await;
        let users = block(wrong.iter().map(|id| (*id, "x")));
        assert_fatal(load.put(users).await, "block_out_of_order");
    }
    let mut load = begin(store, &claim, Existing::Keep).await;
    load.put(block([("m", "m")])).await.unwrap();
    assert_fatal(load.put(block([("l", "l")])).await, "block_out_of_order");
    drop(load);
    assert_eq!(names(bench).await, pairs(&[("d", "d")]));
}

pub async fn ids_that_look_alike_stay_apart(bench: &Bench) {
    let store = &*bench.store;
    let mut ids = vec![
        "A", "a", "á", "a\u{301}", "Á", "a ", "a  ", " a", "a\t", "ß", "ss", "ẞ", "i", "I", "İ", "ı", "é", "e",
        "\u{ad}x", "x", "ﬀ", "ff", "１", "1", "😀", "🙂", "\u{ff5e}", "ς", "σ", "\\", "\\\\", "%", "_",
    ];
    ids.sort_unstable();
    let longest = "\u{10ffff}".repeat(255);
    ids.push(&longest);
    let users: Vec<_> = ids.iter().map(|id| (*id, *id)).collect();
    for (existing, inserted) in [(Existing::Keep, ids.len() as u64), (Existing::Replace, 0), (Existing::Keep, 0)] {
        let claim = loading(store).await;
        let part = load_all(store, &claim, existing, &users).await;
        assert_eq!((part.stored.inserted, part.stored.replaced), (inserted, 0));
        assert_eq!(part.watermark.as_deref(), Some(longest.as_bytes()));
    }
    assert_eq!(names(bench).await, pairs(&users), "each once, and the table's order is that of the bytes");
}

pub async fn any_text_comes_out_as_it_went_in(bench: &Bench) {
    let store = &*bench.store;
    let names = [
        "",
        " ",
        "\\N",
        "\\",
        "\\\\n",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "'",
        "\"",
        "`;drop",
        "\u{0}",
        "a\u{0}b",
        "\u{1a}",
        "😀👩‍👩‍👧",
        "i\u{307}",
        "σίσυφος",
        "NULL",
        "é",
        "e\u{301}",
        "\u{feff}x",
        "%s{}?",
        "\u{10ffff}",
    ];
    let longest = "ÿ".repeat(255);
    let names: Vec<&str> = names.into_iter().chain([longest.as_str()]).collect();
    for (existing, prefix) in [(Existing::Keep, "k"), (Existing::Replace, "r")] {
        let claim = loading(store).await;
        let ids: Vec<_> = (0..names.len()).map(|number| format!("{prefix}{number:02}\t\\\n'{number}")).collect();
        let mut users = UserBlock::default();
        let mut expected: Users = Vec::new();
        for (id, name) in ids.iter().zip(&names) {
            users.push(User { id, name, time_of_start: "9999-12-31T23:59:59.999999999Z" }, 1, false);
            expected.push((id.clone(), (*name).into(), "9999-12-31T23:59:59.999999999Z".into()));
        }
        for (existing, inserted) in [(existing, names.len() as u64), (Existing::Replace, 0)] {
            let claim = if inserted == 0 { loading(store).await } else { claim.clone() };
            let mut load = begin(store, &claim, existing).await;
            load.put(users.clone()).await.unwrap();
            let part = load.commit(true).await.unwrap();
            assert_eq!((part.stored.inserted, part.stored.replaced), (inserted, 0), "equal rows are seen as equal");
        }
        let table = bench.table.users().await.into_iter().filter(|(id, ..)| id.starts_with(prefix));
        assert_eq!(table.collect::<Users>(), expected);
    }
}
