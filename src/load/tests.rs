//! The promises of the whole way, from bytes to ranges: the result is the same however the file is cut, wherever a
//! reader starts, and whatever was left of an earlier attempt.

use std::{collections::BTreeMap, io::Write, path::Path, sync::Arc};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

use super::{CleanFile, Job, input::hex, sizes::Sizes};
use crate::{
    error::{Error, Kind, Result, Service},
    meter::Meter,
    rows::{Existing, RowOptions},
    source::{Bytes, FileSource, MemorySource, Source},
    store::Bounds,
    upload::{Stage, Unit},
};

/// Cuts so small that every row meets one.
const TINY: Sizes = Sizes { segment_bytes: 60, arena_bytes: 100, block_bytes: 30, buffers_bytes: 1 << 20 };
/// Nothing is ever cut.
const WHOLE: Sizes =
    Sizes { segment_bytes: 1 << 20, arena_bytes: 1 << 20, block_bytes: 64 << 10, buffers_bytes: 1 << 20 };

fn job(source: impl Source + 'static, work: &Path) -> Job {
    Job {
        source: Arc::new(source),
        options: RowOptions::default(),
        work: work.join("upload"),
        memory_bytes: 64 << 20,
        expanded_max_bytes: 1 << 30,
        expected_sha256: None,
        meter: Meter::default(),
        stop: CancellationToken::new(),
    }
}

fn prepare(job: Job, sizes: Sizes) -> Result<CleanFile> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(CleanFile::prepare_sized(job, Some(sizes)))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

type Row = (String, String, String);

/// Everything of a range: rows, good rows they stand for, conflicting ids.
fn read(file: &CleanFile, bounds: &Bounds, after: Option<&[u8]>, rows: usize) -> (Vec<Row>, u64, u64) {
    let mut merge = file.merge(bounds, after, file.existing()).unwrap();
    let (mut users, mut good, mut conflicting) = (Vec::new(), 0, 0);
    loop {
        let block = merge.next(rows, 1 << 20).unwrap();
        if block.is_empty() {
            return (users, good, conflicting);
        }
        assert!(block.len() <= rows);
        users.extend(block.iter().map(|user| (user.id.into(), user.name.into(), user.time_of_start.into())));
        good += block.good;
        conflicting += block.conflicting;
    }
}

/// What a map that reads the file row by row would hold.
fn oracle(rows: &[(String, String, u8)], existing: Existing) -> (Vec<Row>, u64) {
    let mut users = BTreeMap::<String, (Row, bool)>::new();
    for (id, name, second) in rows {
        let row = (id.clone(), name.clone(), time(*second));
        let (winner, conflicting) = users.entry(id.clone()).or_insert_with(|| (row.clone(), false));
        *conflicting |= *winner != row;
        if existing == Existing::Replace {
            *winner = row;
        }
    }
    let conflicting = users.values().filter(|(_, conflicting)| *conflicting).count() as u64;
    (users.into_values().map(|(row, _)| row).collect(), conflicting)
}

fn time(second: u8) -> String {
    format!("2017-03-07T00:30:{:02}.000Z", second % 60)
}

/// A file of these rows, with one reject after every seventh.
fn csv(rows: &[(String, String, u8)], end: &str) -> Vec<u8> {
    let mut text = format!("id,name,time_of_start{end}");
    for (number, (id, name, second)) in rows.iter().enumerate() {
        text += &format!("{id},{name},{}{end}", time(*second));
        if number % 7 == 6 {
            text += &format!(",nobody,{}{end}", time(0));
        }
    }
    text.into_bytes()
}

fn some_rows(count: usize) -> Vec<(String, String, u8)> {
    (0..count).map(|n| (format!("id-{:03}", n * 37 % 50), format!("n{}", n % 3), (n % 2) as u8)).collect()
}

fn rows() -> impl Strategy<Value = Vec<(String, String, u8)>> {
    prop::collection::vec(("[ab]{1,3}|[a-zé]{9,12}", "[xy]?", 0..2_u8), 0..60)
}

fn sizes() -> impl Strategy<Value = Sizes> {
    // Two blocks' worth of buffers: merged in groups of two first.
    let buffers = prop_oneof![Just(1_usize), Just(1 << 20)];
    (1..400_u64, 1..600_usize, 1..200_usize, buffers).prop_map(
        |(segment_bytes, arena_bytes, block_bytes, buffers_bytes)| Sizes {
            segment_bytes,
            arena_bytes,
            block_bytes,
            buffers_bytes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn ranges_hold_what_a_map_would_however_the_file_is_cut(
        rows in rows(), sizes in sizes(), ranges in 1..6_usize, replace: bool, end in "\n|\r\n",
    ) {
        let existing = if replace { Existing::Replace } else { Existing::Keep };
        let place = TempDir::new().unwrap();
        let mut job = job(MemorySource(csv(&rows, &end)), place.path());
        job.options.existing = existing;
        let file = prepare(job, sizes).unwrap();
        let (expected, conflicts) = oracle(&rows, existing);

        let bounds = file.bounds(ranges);
        prop_assert!(bounds.len() <= ranges);
        prop_assert_eq!(&bounds[0].low, &None);
        prop_assert_eq!(&bounds[bounds.len() - 1].high, &None);
        for pair in bounds.windows(2) {
            prop_assert!(pair[0].high.is_some() && pair[0].high == pair[1].low && pair[0].low < pair[0].high);
        }
        let (mut users, mut good, mut conflicting) = (Vec::new(), 0, 0);
        for bounds in &bounds {
            let (more, stand_for, differ) = read(&file, bounds, None, 3);
            users.extend(more);
            good += stand_for;
            conflicting += differ;
        }
        prop_assert_eq!(users, expected);
        prop_assert_eq!(conflicting, conflicts);
        prop_assert_eq!(good, rows.len() as u64);
        prop_assert_eq!(file.cleaned().good, good);
    }

    #[test]
    fn any_bounds_and_any_watermark_give_just_what_lies_between(
        rows in rows(), sizes in sizes(), keys in prop::array::uniform3("[abc]{0,3}"),
    ) {
        let place = TempDir::new().unwrap();
        let file = prepare(job(MemorySource(csv(&rows, "\n")), place.path()), sizes).unwrap();
        let [low, high, after] = &keys;
        let bounds = Bounds { low: Some(low.clone().into()), high: Some(high.clone().into()) };
        let mut expected = oracle(&rows, Existing::Keep).0;
        expected.retain(|(id, ..)| id >= low && id < high && id > after);
        prop_assert_eq!(read(&file, &bounds, Some(after.as_bytes()), 100).0, expected);
    }

    #[test]
    fn counts_and_rejects_do_not_depend_on_the_cuts(rows in rows(), sizes in sizes()) {
        let place = TempDir::new().unwrap();
        let bytes = csv(&rows, "\n");
        let cut = prepare(job(MemorySource(bytes.clone()), &place.path().join("a")), sizes).unwrap();
        let whole = prepare(job(MemorySource(bytes.clone()), &place.path().join("b")), WHOLE).unwrap();
        prop_assert_eq!(cut.cleaned(), whole.cleaned());
        prop_assert_eq!(&cut.cleaned().sha256, &sha256(&bytes));
        prop_assert_eq!(cut.cleaned().rejected, rows.len() as u64 / 7);
        let rejects = |file: &CleanFile| file.rejects().map(|path| std::fs::read_to_string(path).unwrap());
        prop_assert_eq!(rejects(&cut).is_some(), cut.cleaned().rejected > 0);
        prop_assert_eq!(rejects(&cut), rejects(&whole));
    }
}

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
    let bytes = csv(&some_rows(60), "\n");
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
        for cut in [None, Some(0), Some(20)] {
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
fn bytes_of_another_hash_than_expected_are_refused_also_when_they_are_broken() {
    let place = TempDir::new().unwrap();
    for bytes in [csv(&some_rows(5), "\n"), b"id,name,time_of_start\n\"x".to_vec(), b"\x1f\x8b\x08zip".to_vec()] {
        let mut job = job(MemorySource(bytes), place.path());
        job.expected_sha256 = Some(sha256(b"other"));
        assert_eq!(prepare(job, TINY).unwrap_err().code, "content_changed");
    }
}

#[test]
fn a_broken_file_ends_before_anything_is_written_and_names_the_line() {
    let place = TempDir::new().unwrap();
    let mut bytes = csv(&some_rows(60), "\n");
    bytes.extend(b"1,\"never closed,\n2,x,y\n");
    let error = prepare(job(MemorySource(bytes), place.path()), TINY).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Rejected, "csv_broken"));
    assert!(error.to_string().starts_with("line 70: "), "{error}");
    assert_eq!(files(place.path()), ["lock"]);
}

#[test]
fn a_small_file_leaves_no_files_but_its_rejects() {
    let place = TempDir::new().unwrap();
    let file = prepare(job(MemorySource(csv(&some_rows(5), "\n")), place.path()), WHOLE).unwrap();
    assert_eq!(file.rejects(), None);
    assert_eq!(file.bounds(6), [Bounds::default()]);
    assert_eq!(files(place.path()), ["lock"]);
    drop(file);
    let file = prepare(job(MemorySource(csv(&some_rows(8), "\n")), place.path()), WHOLE).unwrap();
    let rejects = std::fs::read_to_string(file.rejects().unwrap()).unwrap();
    let lines: Vec<_> = rejects.lines().collect();
    assert_eq!(lines.len(), 2, "{rejects}");
    assert_eq!(lines[0], "_line,_field,_reason,id,name,time_of_start");
    assert!(lines[1].starts_with("9,id,"), "{rejects}");
}

#[test]
fn a_header_without_rows_is_a_file_of_no_users() {
    let place = TempDir::new().unwrap();
    let file = prepare(job(MemorySource(csv(&[], "\n")), place.path()), TINY).unwrap();
    assert_eq!((file.cleaned().read, file.bounds(6)), (0, vec![Bounds::default()]));
    assert!(read(&file, &Bounds::default(), None, 10).0.is_empty());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_content_of_several_members_loads_like_the_plain_file() {
    let plain = csv(&some_rows(60), "\n");
    let (front, back) = plain.split_at(100);
    let sent = [gzip(front), gzip(back)].concat();
    let place = TempDir::new().unwrap();
    for sizes in [TINY, WHOLE] {
        let of_plain = prepare(job(MemorySource(plain.clone()), &place.path().join("plain")), sizes).unwrap();
        let zipped = job(MemorySource(sent.clone()), &place.path().join("zipped"));
        let meter = zipped.meter.clone();
        let of_zipped = prepare(zipped, sizes).unwrap();
        assert_eq!(of_zipped.cleaned().sha256, sha256(&sent));
        assert_eq!(of_zipped.cleaned().reasons, of_plain.cleaned().reasons);
        let everything = Bounds::default();
        assert_eq!(read(&of_zipped, &everything, None, 7), read(&of_plain, &everything, None, 7));
        let progress = meter.progress().unwrap();
        let rows = plain.len() as u64 - 22;
        assert_eq!((progress.stage, progress.unit), (Stage::Clean, Unit::Bytes));
        assert_eq!((progress.done, progress.total), (rows, rows));
    }
}

#[test]
fn gzip_content_that_breaks_off_is_damaged_or_too_large_is_refused_in_a_sentence() {
    let place = TempDir::new().unwrap();
    let whole = gzip(&csv(&some_rows(60), "\n"));
    let refused = |bytes: &[u8], max: u64| {
        let mut job = job(MemorySource(bytes.into()), place.path());
        job.expanded_max_bytes = max;
        let error = prepare(job, TINY).unwrap_err();
        assert_eq!((error.kind, error.next.is_some()), (Kind::Rejected, true));
        assert_eq!(files(place.path()), ["lock"], "nothing is left of it");
        error.code
    };
    assert_eq!(refused(&whole[..whole.len() - 9], 1 << 20), "gzip_truncated");
    assert_eq!(refused(&[&whole[..], b"no member of it"].concat(), 1 << 20), "gzip_damaged");
    assert_eq!(refused(&whole, 1000), "expanded_too_large");
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

/// Answers every read the same way: with an error, or never.
struct Odd(Option<Service>);

#[async_trait::async_trait]
impl Source for Odd {
    fn name(&self) -> String {
        "an odd source".into()
    }

    async fn size(&self) -> Result<u64> {
        Ok(100)
    }

    async fn open(&self, _: u64) -> Result<Bytes> {
        Ok(Box::new(Odd(self.0)))
    }
}

impl AsyncRead for Odd {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let Some(service) = self.0 else { return std::task::Poll::Pending };
        std::task::Poll::Ready(Err(std::io::Error::other(Error::unavailable(service, "reading over there"))))
    }
}

#[test]
fn an_error_of_reading_keeps_its_kind_and_its_service() {
    let place = TempDir::new().unwrap();
    let error = prepare(job(Odd(Some(Service::Archive)), place.path()), TINY).unwrap_err();
    assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Archive)));
}

#[test]
fn a_source_that_never_answers_does_not_keep_a_job_from_stopping() {
    let place = TempDir::new().unwrap();
    let job = job(Odd(None), place.path());
    let stop = job.stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prepared = runtime.block_on(async {
        let prepared = tokio::spawn(CleanFile::prepare(job));
        tokio::task::yield_now().await;
        stop.cancel();
        prepared.await.unwrap()
    });
    assert_eq!(prepared.unwrap_err().kind, Kind::Stopped);
}

#[test]
fn a_source_that_ends_early_is_read_again_later() {
    struct Short;
    #[async_trait::async_trait]
    impl Source for Short {
        fn name(&self) -> String {
            "a cut connection".into()
        }
        async fn size(&self) -> Result<u64> {
            Ok(1000)
        }
        async fn open(&self, offset: u64) -> Result<Bytes> {
            MemorySource(csv(&some_rows(5), "\n")).open(offset).await
        }
    }
    let place = TempDir::new().unwrap();
    let error = prepare(job(Short, place.path()), TINY).unwrap_err();
    assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Source)));
}

fn files(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place.join("upload")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
