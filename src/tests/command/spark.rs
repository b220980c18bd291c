//! What Spark starts on its executors, without Spark: real processes with `sort` between them, and their result beside
//! that of one worker.

use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use userdata::{
    load::{
        CleanFile, Job, Merge,
        index::{self, Index},
        run::Run,
    },
    meter::Meter,
    rows::{Delimiter, Existing, RowOptions},
    source::{MemorySource, Source},
    spark::{
        Version,
        manifest::{Collected, Manifest},
        task::{self, Origin, Plan},
    },
    store::{Bounds, ClaimOutcome, PartFile, Release, Store, sqlite},
    upload::{Cleaned, NewUpload, Place as BytesPlace, State, Upload, UploadId},
};

use crate::run::Place;

/// A file in the archive of a place, and how it is cut.
struct Bench {
    place: Place,
    bytes: Vec<u8>,
    plan: Plan,
    index: Index,
}

const ARCHIVED: &str = "2026/11/users.csv";

impl Bench {
    fn new(bytes: Vec<u8>, options: &RowOptions, cuts: &[&str]) -> Self {
        let place = Place::new();
        let archived = place.path().join("data/archive").join(ARCHIVED);
        std::fs::create_dir_all(archived.parent().unwrap()).unwrap();
        std::fs::write(&archived, &bytes).unwrap();
        let index = index::index(bytes.as_slice(), options, 1000).unwrap().found.unwrap();
        let plan = Plan {
            version: Version::own(),
            upload: UploadId::new(),
            fence: 1,
            origin: Origin::Archive(ARCHIVED.into()),
            layout: index.layout.clone(),
            options: options.clone(),
            cuts: cuts.iter().map(|cut| (*cut).into()).collect(),
            keeps_chunks: false,
        };
        Self { place, bytes, plan, index }
    }

    fn tasks(&self) -> Vec<String> {
        let plan = task::encode(&self.plan).unwrap();
        self.index.segments.iter().map(|chunk| format!("{plan}\t{}\n", task::encode(chunk).unwrap())).collect()
    }

    fn clean(&self, tasks: &str) -> Output {
        piped(self.place.command("spark-clean"), tasks.as_bytes())
    }

    fn part(&self, rows: &[u8]) -> Output {
        let Plan { upload, fence, options, .. } = &self.plan;
        let line = format!("spark-part --upload {upload} --fence {fence} --existing {}", options.existing);
        piped(self.place.command(&line), rows)
    }

    /// Every chunk by a process of its own, in another order than the file's.
    fn rows(&self) -> Vec<u8> {
        let mut rows = Vec::new();
        for task in self.tasks().iter().rev() {
            rows.extend(succeeded(self.clean(task)));
        }
        sorted(&rows)
    }

    fn collected(&self, told: &[u8]) -> userdata::error::Result<Manifest> {
        let mut collected = Collected::default();
        for line in told.split_inclusive(|byte| *byte == b'\n') {
            let mut fields = line.trim_ascii_end().splitn(2, |byte| *byte == b'\t');
            let what = std::str::from_utf8(fields.next().unwrap()).unwrap();
            collected.take(what, fields.next().unwrap())?;
        }
        collected.check(&self.plan, &self.index.segments)
    }

    fn archived(&self, name: &str) -> PathBuf {
        self.place.path().join("data/archive").join(name)
    }

    /// What one worker makes of the file.
    fn by_one_worker(&self) -> CleanFile {
        let job = Job {
            source: Arc::new(MemorySource(self.bytes.clone())) as Arc<dyn Source>,
            options: self.plan.options.clone(),
            work: self.place.path().join("one-worker"),
            memory_bytes: 64 << 20,
            threads: 1,
            merges: 1,
            expanded_max_bytes: 1 << 30,
            expected_sha256: None,
            meter: Meter::default(),
            stop: CancellationToken::new(),
        };
        let prepared = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(CleanFile::prepare(job)).unwrap()
        };
        // A runtime of its own, also where the test has one.
        std::thread::scope(|scope| scope.spawn(prepared).join().unwrap())
    }
}

fn piped(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let feeding = std::thread::spawn(move || {
        // A child that refuses what it reads closes its end.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

fn succeeded(output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn refused(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "{said}");
    said
}

/// As Spark's SORT BY does.
fn sorted(rows: &[u8]) -> Vec<u8> {
    let mut sort = Command::new("sort");
    sort.args(["-t", "\t", "-k1,1n", "-k2,2", "-k3,3n"]).env("LC_ALL", "C");
    succeeded(piped(sort, rows))
}

type Row = (String, String, String);

fn drained(mut merge: Merge) -> (Vec<Row>, u64, u64) {
    let (mut rows, mut good, mut conflicting) = (Vec::new(), 0, 0);
    loop {
        let block = merge.next(100, 1 << 20).unwrap();
        if block.is_empty() {
            return (rows, good, conflicting);
        }
        rows.extend(block.iter().map(|user| (user.id.into(), user.name.into(), user.time_of_start.into())));
        good += block.good;
        conflicting += block.conflicting;
    }
}

/// Ids that are hard to pass on, many of them more than once, with rejects of every kind between.
fn hard(end: &str) -> Vec<u8> {
    let ids =
        ["a\tb", "a\nb", "\\N", "\\", "a\\tb", "\u{1}", "a\u{b}", "ü", "=", "#", "!", "\u{10ffff}", "0", "a", "A"];
    let mut text = format!("id,name,time_of_start{end}").into_bytes();
    for row in 0..400 {
        let id = ids[row * 7 % ids.len()];
        let time = format!("2017-03-07 00:{:02}:{:02}", row / 60 % 60, row % 60);
        text.extend(format!("\"{id}{}\",\"N\u{0}ame\t\n{}\",{time}{end}", row % 40, row % 3).bytes());
        match row % 50 {
            7 => text.extend([b"x,M\xfcller,", time.as_bytes(), end.as_bytes()].concat()),
            13 => text.extend(format!(",nobody,{time}{end}").bytes()),
            26 => text.extend(format!("{end}x,y{end}").bytes()),
            31 => text.extend(format!("x,\"a\n\nb\",31/13/2024{end}").bytes()),
            _ => {}
        }
    }
    text
}

/// What the parts and rejects hold is what one worker makes of the file, to the last byte.
fn equals_one_worker(bench: &Bench, manifest: &Manifest) {
    let one = bench.by_one_worker();
    let existing = bench.plan.options.existing;
    let (mut rows, mut good, mut conflicting) = (Vec::new(), 0, 0);
    for (bounds, part) in &manifest.parts {
        let path = bench.archived(&part.file.name);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), part.file.size);
        let run = Run::open(&path).unwrap();
        assert_eq!((run.totals.rows, run.totals.good), (part.rows, part.good));
        let all = drained(Merge::new([run.clone()].into(), &Bounds::default(), None, existing).unwrap());
        let within = drained(Merge::new([run].into(), bounds, None, existing).unwrap());
        assert_eq!(all, within, "a part holds its own range and nothing else");
        let of_one = drained(one.merge(bounds, None, existing).unwrap());
        assert_eq!(within, of_one);
        rows.extend(within.0);
        good += within.1;
        conflicting += within.2;
    }
    assert_eq!((rows, good, conflicting), drained(one.merge(&Bounds::default(), None, existing).unwrap()));
    let cleaned = Cleaned { sha256: String::new(), ..one.cleaned().clone() };
    assert_eq!(manifest.tally.clone().cleaned(String::new()), cleaned);
    let rejects: Vec<u8> =
        manifest.rejects.iter().flat_map(|file| std::fs::read(bench.archived(&file.name)).unwrap()).collect();
    let whole = one.rejects().map(|path| std::fs::read(path).unwrap()).unwrap_or_default();
    let header = whole.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    assert_eq!(String::from_utf8_lossy(&rejects), String::from_utf8_lossy(&whole[header..]));
}

#[test]
fn parts_and_rejects_are_those_of_one_worker() {
    for (end, existing) in [("\n", Existing::Keep), ("\r", Existing::Replace)] {
        let options = RowOptions { existing, ..RowOptions::default() };
        let bench = Bench::new(hard(end), &options, &["A", "a\nb2", "z"]);
        assert!(bench.index.segments.len() > 10);
        let manifest = bench.collected(&succeeded(bench.part(&bench.rows()))).unwrap();
        assert_eq!(manifest.parts.len(), 4);
        equals_one_worker(&bench, &manifest);
        let left = std::fs::read_dir(bench.archived("parts")).unwrap().count();
        assert_eq!(left, manifest.parts.len() + manifest.rejects.len(), "no temp file is left");
    }
}

#[test]
fn a_file_of_rejects_alone_or_of_one_id_has_no_ranges_too_many() {
    let options = RowOptions { delimiter: Some(Delimiter(b',')), ..RowOptions::default() };
    let rejects = "id,name,time_of_start\n".to_owned() + &"1,a,never\n".repeat(100);
    let one_id = "id,name,time_of_start\n".to_owned() + &"1,a,2017-03-07\n1,b,2017-03-07\n".repeat(200);
    for (text, parts) in [(rejects, 0), (one_id, 1), ("id,name,time_of_start\n".to_owned(), 0)] {
        let bench = Bench::new(text.into_bytes(), &options, &["0", "5"]);
        let manifest = bench.collected(&succeeded(bench.part(&bench.rows()))).unwrap();
        assert_eq!(manifest.parts.len(), parts);
        equals_one_worker(&bench, &manifest);
    }
}

#[test]
fn what_does_not_add_up_is_refused() {
    let bench = Bench::new(hard("\n"), &RowOptions::default(), &["A", "a\nb2", "z"]);
    let rows = bench.rows();
    let lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
    // A row that got lost in Spark, or in a child that ended early.
    for lost in [lines.len() - 1, lines.len() / 2] {
        let rows = [&lines[..lost], &lines[lost + 1..]].concat().concat();
        assert!(refused(&bench.part(&rows)).contains("rows of a range"));
    }
    let cut = &rows[..rows.len() - 3];
    assert!(refused(&bench.part(cut)).contains("is not what spark-clean writes"));
    let mut swapped = lines.clone();
    let last = swapped.len() - 1;
    swapped.swap(last, last - 1);
    assert!(refused(&bench.part(&swapped.concat())).contains("not in the order"));
    // A chunk whose task never ran, and one that ran twice.
    let of_chunks: Vec<_> = bench.tasks().iter().map(|task| succeeded(bench.clean(task))).collect();
    let told = |rows: &[Vec<u8>]| succeeded(bench.part(&sorted(&rows.concat())));
    let code = |told: &[u8]| bench.collected(told).unwrap_err().code;
    assert_eq!(code(&told(&of_chunks[1..])), "spark_chunk_missing");
    let whole = told(&of_chunks);
    let account = whole.split_inclusive(|byte| *byte == b'\n').find(|line| line.starts_with(b"account")).unwrap();
    let part = whole.split_inclusive(|byte| *byte == b'\n').find(|line| line.starts_with(b"part")).unwrap();
    assert_eq!(code(&[&whole, account].concat()), "spark_chunk_twice");
    assert_eq!(code(&[&whole, part].concat()), "spark_part_twice");
    let at = whole.windows(part.len()).position(|window| window == part).unwrap();
    assert_eq!(code(&[&whole[..at], &whole[at + part.len()..]].concat()), "spark_rows_lost");
    assert_eq!(code(b""), "spark_chunk_missing");
    assert_eq!(code(b"hello\t=there\n"), "spark_result");
    let older = String::from_utf8(whole).unwrap().replacen("\"program\":\"0", "\"program\":\"older-0", 1);
    assert_eq!(code(older.as_bytes()), "spark_version");
}

#[test]
fn tasks_of_another_version_or_of_other_bytes_are_refused() {
    let mut bench = Bench::new(hard("\n"), &RowOptions::default(), &[]);
    let task = bench.tasks()[0].clone();
    let rows = succeeded(bench.clean(&task));
    let older = String::from_utf8_lossy(&rows).replace("\"program\":\"0", "\"program\":\"older-0");
    assert!(refused(&bench.part(&sorted(older.as_bytes()))).contains("this program is userdata"));
    for wrong in ["", "x\n", "x\ty\n", "00\t00\n"] {
        let output = bench.clean(wrong);
        assert_eq!(output.status.success(), wrong.is_empty(), "{wrong:?}: {output:?}");
    }
    let archived = bench.archived(ARCHIVED);
    let mut changed = bench.bytes.clone();
    changed[100] ^= 1;
    std::fs::write(&archived, &changed).unwrap();
    let output = bench.clean(&task);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("changed after they were received"), "{said}");
    std::fs::remove_file(&archived).unwrap();
    let output = bench.clean(&task);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    bench.plan.origin = Origin::Server("http://127.0.0.1:1".into());
    let said = refused(&bench.clean(&bench.tasks()[0]));
    assert!(said.contains("it is not one of worker.servers"), "{said}");
    bench.plan.version = serde_json::from_str(r#"{"program":"0.0.9","rules":1,"text":1}"#).unwrap();
    assert!(refused(&bench.clean(&bench.tasks()[0])).contains("the worker is userdata 0.0.9"));
}

/// An upload whose parts the ledger has accepted, and nobody has loaded yet.
struct Accepted {
    bench: Bench,
    manifest: Manifest,
    store: Box<dyn Store>,
}

impl Accepted {
    async fn new() -> Self {
        let bench = Bench::new(hard("\n"), &RowOptions::default(), &["A", "a\nb2", "z"]);
        let manifest = bench.collected(&succeeded(bench.part(&bench.rows()))).unwrap();
        let store: Box<dyn Store> = Box::new(sqlite::open(&bench.place.path().join("data/userdata.db")).unwrap());
        let new = NewUpload {
            format: NewUpload::FORMAT,
            id: bench.plan.upload,
            filename: "users.csv".into(),
            media_type: "text/csv".into(),
            size: bench.bytes.len() as u64,
            sha256: None,
            sample: None,
            sender: "local".into(),
            started_ms: 0,
            received_ms: 0,
            place: BytesPlace::default(),
            options: bench.plan.options.clone(),
            again_of: None,
        };
        assert!(store.register(&new).await.unwrap());
        let ClaimOutcome::Claimed(claim) = store.claim(new.id, "a test", Duration::from_secs(60)).await.unwrap() else {
            panic!("nobody else is there");
        };
        assert!(store.reserve_archive_name(&claim, ARCHIVED).await.unwrap());
        store.archived(&claim, None).await.unwrap();
        let cleaned = manifest.tally.clone().cleaned(String::new());
        store.accept(&claim, &cleaned, userdata::rows::RULES, &manifest.parts).await.unwrap();
        store.release(&claim, Release::HandedBack).await.unwrap();
        Self { bench, manifest, store }
    }

    /// Has a worker do what is left, until it has come to an end of some kind, and nothing of `gone` is in the archive.
    async fn worked_on(&self, gone: &[(Bounds, PartFile)]) -> Upload {
        let _worker = Worker(self.bench.place.command("worker").stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let upload = self.store.upload(self.bench.plan.upload).await.unwrap().unwrap();
            let events = self.store.events(upload.id()).await.unwrap();
            let there = gone.iter().any(|(_, part)| self.bench.archived(&part.file.name).exists());
            let failed = events.iter().any(|event| event.message.starts_with("the attempt ended"));
            if failed || (!upload.state.is_open() && !there) {
                return upload;
            }
            assert!(Instant::now() < deadline, "parts are there: {there}, {events:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn table(&self) -> Vec<Row> {
        let connection = rusqlite::Connection::open(self.bench.place.path().join("data/userdata.db")).unwrap();
        let mut users = connection.prepare("select id, name, time_of_start from userinfo order by id").unwrap();
        let rows = users.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn by_one_worker(&self) -> (Vec<Row>, u64, u64) {
        let one = self.bench.by_one_worker();
        drained(one.merge(&Bounds::default(), None, self.bench.plan.options.existing).unwrap())
    }
}

/// Ends with the test.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_claims_an_upload_of_accepted_parts_loads_them_without_spark() {
    let accepted = Accepted::new().await;
    let upload = accepted.worked_on(&accepted.manifest.parts).await;
    let (rows, good, conflicting) = accepted.by_one_worker();
    assert_eq!(upload.state, State::Done);
    assert_eq!((upload.counts.inserted, upload.counts.conflicting), (rows.len() as u64, conflicting));
    assert_eq!(upload.counts.repeated_in_file, good - rows.len() as u64);
    assert_eq!(accepted.table(), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parts_that_are_gone_the_file_is_cleaned_again() {
    let accepted = Accepted::new().await;
    std::fs::remove_file(accepted.bench.archived(&accepted.manifest.parts[1].1.file.name)).unwrap();
    assert_eq!(accepted.worked_on(&[]).await.state, State::Done);
    assert_eq!(accepted.table(), accepted.by_one_worker().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_changed_after_it_was_accepted_is_not_stored() {
    let accepted = Accepted::new().await;
    for (_, part) in &accepted.manifest.parts {
        let path = accepted.bench.archived(&part.file.name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[12] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let upload = accepted.worked_on(&[]).await;
    assert_eq!(upload.state, State::Loading);
    let events = accepted.store.events(upload.id()).await.unwrap();
    let said = &events.last().unwrap().message;
    assert!(said.contains("is not the file that was written: its SHA-256 is"), "{said}");
    assert!(accepted.table().is_empty());
}
