//! The promises of the whole way, from bytes to ranges: the result is the same however the file is cut.

use std::{collections::BTreeMap, io::Write, path::Path, sync::Arc};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    CleanFile, Job, Merge,
    arena::Arena,
    run::{Run, RunWriter},
    sizes::Sizes,
};

mod content;
mod repeat;

use crate::{
    error::Result,
    hash::hex,
    meter::Meter,
    rows::{Existing, RowOptions, User},
    source::{MemorySource, Source},
    store::Bounds,
};

/// Cuts so small that every row meets one.
const TINY: Sizes = Sizes { threads: 2, segment_bytes: 60, arena_bytes: 100, block_bytes: 30, buffers_bytes: 1 << 20 };
/// Nothing is ever cut.
const WHOLE: Sizes =
    Sizes { threads: 2, segment_bytes: 1 << 20, arena_bytes: 1 << 20, block_bytes: 64 << 10, buffers_bytes: 1 << 20 };

fn job(source: impl Source + 'static, work: &Path) -> Job {
    Job {
        source: Arc::new(source),
        options: RowOptions::default(),
        work: work.join("upload"),
        memory_bytes: 64 << 20,
        threads: 2,
        merges: 3,
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
    drain(&mut file.merge(bounds, after, file.existing()).unwrap(), rows)
}

fn drain(merge: &mut Merge, rows: usize) -> (Vec<Row>, u64, u64) {
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
    let mut text = format!("id,name,time_of_start{end}").into_bytes();
    for (number, (id, name, second)) in rows.iter().enumerate() {
        text.extend(format!("{id},{name},{}{end}", time(*second)).bytes());
        match number % 21 {
            6 | 13 => text.extend(format!(",nobody,{}{end}", time(0)).bytes()),
            20 => text.extend([b"x,M\xfcller,t", end.as_bytes()].concat()),
            _ => {}
        }
    }
    text
}

fn some_rows(count: usize) -> Vec<(String, String, u8)> {
    (0..count).map(|n| (format!("id-{:03}", n * 37 % 50), format!("n{}", n % 3), (n % 2) as u8)).collect()
}

fn rows() -> impl Strategy<Value = Vec<(String, String, u8)>> {
    prop::collection::vec(("[ab]{1,3}|[a-zé]{9,12}", "[xy]?", 0..2_u8), 0..40)
}

fn sizes() -> impl Strategy<Value = Sizes> {
    // Two blocks' worth of buffers: merged in groups of two first.
    let buffers = prop_oneof![Just(1_usize), Just(1 << 20)];
    (1..5_usize, 30..600_u64, 1..900_usize, 1..200_usize, buffers).prop_map(
        |(threads, segment_bytes, arena_bytes, block_bytes, buffers_bytes)| Sizes {
            threads,
            segment_bytes,
            arena_bytes,
            block_bytes,
            buffers_bytes,
        },
    )
}

/// Every case writes and syncs files.
fn few() -> ProptestConfig {
    ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runs_of_any_size_merge_to_what_a_map_would_hold(
        rows in rows(), arena_bytes in 1..400_usize, block_bytes in 1..200_usize, replace: bool, step in 1..5_usize,
    ) {
        let existing = if replace { Existing::Replace } else { Existing::Keep };
        let runs = memory_runs(&rows, arena_bytes, block_bytes, existing);
        let mut merge = Merge::new(runs.into(), &Bounds::default(), None, existing).unwrap();
        let (users, good, conflicting) = drain(&mut merge, step);
        let (expected, conflicts) = oracle(&rows, existing);
        prop_assert_eq!((users, good, conflicting), (expected, rows.len() as u64, conflicts));
    }
}

/// Runs in memory, each of as many rows as an arena takes.
fn memory_runs(rows: &[(String, String, u8)], arena_bytes: usize, block_bytes: usize, existing: Existing) -> Vec<Run> {
    let (mut arena, mut runs) = (Arena::new(arena_bytes), Vec::new());
    let mut spill = |arena: &mut Arena| {
        let mut writer = RunWriter::new(Vec::new(), block_bytes);
        arena.sort();
        arena.write(existing, &mut writer).unwrap();
        arena.clear();
        runs.push(Run::memory(writer.finish().unwrap().0).unwrap());
    };
    for (line, (id, name, second)) in rows.iter().enumerate() {
        let user = User { id, name, time_of_start: &time(*second) };
        if !arena.fits(&user) {
            spill(&mut arena);
        }
        arena.push(line as u64, user);
    }
    spill(&mut arena);
    runs
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn ranges_hold_what_a_map_would_however_the_file_is_cut(
        rows in rows(), sizes in sizes(), ranges in 1..6_usize, replace: bool,
        end in "\n|\r\n",
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
    fn counts_and_rejects_depend_neither_on_the_cuts_nor_on_the_threads(
        rows in rows(), sizes in sizes(),
    ) {
        let place = TempDir::new().unwrap();
        let bytes = csv(&rows, "\n");
        let cut = prepare(job(MemorySource(bytes.clone()), &place.path().join("a")), sizes).unwrap();
        let whole = prepare(job(MemorySource(bytes.clone()), &place.path().join("b")), WHOLE).unwrap();
        prop_assert_eq!(cut.cleaned(), whole.cleaned());
        prop_assert_eq!(&cut.cleaned().sha256, &sha256(&bytes));
        prop_assert_eq!(cut.cleaned().rejected, rows.len() as u64 / 7);
        let rejects = |file: &CleanFile| file.rejects().map(|path| std::fs::read(path).unwrap());
        prop_assert_eq!(rejects(&cut).is_some(), cut.cleaned().rejected > 0);
        prop_assert_eq!(rejects(&cut), rejects(&whole));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn files(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place.join("upload")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
