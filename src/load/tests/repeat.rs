//! Repeated, it is the same: wherever a merge resumes, and whatever was left of an earlier attempt.

use tempfile::TempDir;

use super::{TINY, csv, gzip, job, prepare, read, sha256, some_rows};
use crate::{
    error::{Kind, Service},
    load::sizes::Sizes,
    rows::Existing,
    source::{FileSource, MemorySource},
    store::Bounds,
};

#[test]
fn a_merge_that_resumes_behind_any_id_gives_the_tail() {
    let rows = some_rows(200);
    let place = TempDir::new().unwrap();
    let file = prepare(job(MemorySource(csv(&rows, "\n")), place.path()), TINY).unwrap();
    let all = read(&file, &Bounds::default(), None, 1000).0;
    assert_eq!(all.len(), 50);
    for (number, (id, ..)) in all.iter().enumerate() {
        let tail = read(&file, &Bounds::default(), Some(id.as_bytes()), 1000).0;
        assert_eq!(tail, all[number + 1..], "behind {id}");
    }
}

#[test]
fn after_a_crash_the_same_is_made_of_whatever_is_left() {
    let bytes = csv(&some_rows(20), "\n");
    let place = TempDir::new().unwrap();
    let again = || {
        let mut job = job(MemorySource(bytes.clone()), place.path());
        job.expected_sha256 = Some(sha256(&bytes));
        prepare(job, TINY).unwrap()
    };
    let first = again();
    let expected = (first.cleaned().clone(), read(&first, &Bounds::default(), None, 1000));
    drop(first);
    let work = place.path().join("upload");
    let names: Vec<_> = std::fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in &names {
        for cut in [None, Some(20)] {
            match cut {
                None => std::fs::remove_file(name).unwrap(),
                Some(length) => std::fs::File::options().write(true).open(name).unwrap().set_len(length).unwrap(),
            }
            let file = again();
            assert_eq!(*file.cleaned(), expected.0, "{name:?} {cut:?}");
            assert_eq!(read(&file, &Bounds::default(), None, 1000), expected.1, "{name:?} {cut:?}");
        }
    }
}

#[test]
fn a_finished_segment_is_not_cleaned_again() {
    let bytes = csv(&some_rows(60), "\n");
    let place = TempDir::new().unwrap();
    let path = place.path().join("users.csv");
    std::fs::write(&path, &bytes).unwrap();
    let again = |expected: Option<&str>| {
        let mut job = job(FileSource(path.clone()), place.path());
        job.expected_sha256 = expected.map(Into::into);
        prepare(job, TINY)
    };
    drop(again(None).unwrap());
    // With its hash known, nothing of the file is read any more.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(again(Some(&sha256(&bytes))).unwrap().cleaned().good, 60);
    // Without, it must be read.
    assert_eq!(again(None).unwrap_err().service, Some(Service::Source));
    // What is of another content is no use.
    std::fs::write(&path, csv(&some_rows(30), "\n")).unwrap();
    assert_eq!(again(None).unwrap().cleaned().good, 30);
}

#[test]
fn a_segment_that_changed_after_the_index_is_refused() {
    let mut bytes = csv(&some_rows(60), "\n");
    let place = TempDir::new().unwrap();
    let path = place.path().join("users.csv");
    std::fs::write(&path, &bytes).unwrap();
    let again = || {
        let mut job = job(FileSource(path.clone()), place.path());
        job.expected_sha256 = Some(sha256(&csv(&some_rows(60), "\n")));
        prepare(job, TINY)
    };
    drop(again().unwrap());
    std::fs::remove_file(place.path().join("upload/000003.json")).unwrap();
    for byte in bytes.iter_mut().filter(|byte| **byte == b'n') {
        *byte = b'm';
    }
    std::fs::write(&path, &bytes).unwrap();
    let error = again().unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Rejected, "content_changed"));
    std::fs::write(&path, &bytes[..100]).unwrap();
    assert_eq!(again().unwrap_err().code, "content_changed");
}

#[test]
fn of_several_segments_that_fail_the_first_is_told() {
    let bytes = csv(&some_rows(200), "\n");
    let place = TempDir::new().unwrap();
    let again = |bytes: &[u8]| {
        let mut job = job(MemorySource(bytes.into()), place.path());
        job.expected_sha256 = Some(sha256(&csv(&some_rows(200), "\n")));
        prepare(job, Sizes { threads: 4, ..TINY })
    };
    drop(again(&bytes).unwrap());
    for number in 7..60 {
        std::fs::remove_file(place.path().join(format!("upload/{number:06}.json"))).unwrap();
    }
    let changed: Vec<u8> = bytes.iter().map(|byte| if *byte == b'n' { b'm' } else { *byte }).collect();
    let manifest = std::fs::read(place.path().join("upload/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let first = &manifest["index"]["segments"][7]["offset"];
    for _ in 0..20 {
        let error = again(&changed).unwrap_err().to_string();
        assert!(error.contains(&format!("the part from byte {first} to")), "{error}");
    }
    assert_eq!(again(&bytes).unwrap().cleaned().good, 200);
}

#[test]
fn an_expanded_file_that_was_damaged_is_expanded_again() {
    let place = TempDir::new().unwrap();
    let sent = gzip(&csv(&some_rows(60), "\n"));
    let again = || {
        let mut job = job(MemorySource(sent.clone()), place.path());
        job.expected_sha256 = Some(sha256(&sent));
        prepare(job, TINY)
    };
    drop(again().unwrap());
    let expanded = place.path().join("upload/expanded.csv");
    let mut bytes = std::fs::read(&expanded).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&expanded, bytes).unwrap();
    std::fs::remove_file(place.path().join("upload/000001.json")).unwrap();
    assert_eq!(again().unwrap_err().code, "work_damaged");
    assert_eq!(again().unwrap().cleaned().good, 60);
}

#[test]
fn a_damaged_run_ends_the_attempt_and_the_next_one_makes_it_again() {
    let place = TempDir::new().unwrap();
    let bytes = csv(&some_rows(60), "\n");
    let again = || {
        let mut job = job(MemorySource(bytes.clone()), place.path());
        job.expected_sha256 = Some(sha256(&bytes));
        prepare(job, TINY).unwrap()
    };
    let file = again();
    let run = place.path().join("upload/000002-0.run");
    let mut damaged = std::fs::read(&run).unwrap();
    damaged[20] ^= 1;
    std::fs::write(&run, damaged).unwrap();
    let merge = file.merge(&Bounds::default(), None, Existing::Keep);
    let mut end = None;
    if let Ok(mut merge) = merge {
        end = std::iter::from_fn(|| Some(merge.next(10, 1000)))
            .find(|block| block.as_ref().map_or(true, |b| b.is_empty()));
    }
    assert!(end.is_none_or(|end| end.unwrap_err().code == "run_damaged"));
    drop(file);
    assert_eq!(read(&again(), &Bounds::default(), None, 1000).1, 60);
}
