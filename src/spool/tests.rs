//! Receiving, crashing behind every step, cleaning up.

use std::sync::Arc;

use bytes::Bytes;

use super::{commit::*, *};
use crate::rows::RowOptions;

fn spool(folder: &Path) -> Arc<Spool> {
    spool_keeping(folder, 0).expect("a temporary folder")
}

fn spool_keeping(folder: &Path, free_bytes: u64) -> Result<Arc<Spool>> {
    let keep = std::time::Duration::from_secs(1);
    let config = config::Spool { path: folder.into(), keep, keep_failed: keep, expire: keep, free_bytes };
    Spool::open(&config, Disks::default()).map(Arc::new)
}

fn arrival(size: Option<u64>) -> Arrival {
    Arrival { id: UploadId::new(), filename: "a.csv".into(), sender: "local".into(), started_ms: 1, size, resume: None }
}

fn upload(id: UploadId) -> NewUpload {
    NewUpload {
        format: NewUpload::FORMAT,
        id,
        filename: "a.csv".into(),
        media_type: "text/csv".into(),
        size: 0,
        sha256: None,
        sample: None,
        sender: "local".into(),
        started_ms: 1,
        received_ms: 0,
        place: Place::default(),
        options: RowOptions::default(),
        again_of: None,
    }
}

async fn receive(spool: &Arc<Spool>, text: &'static str) -> NewUpload {
    let mut incoming = spool.begin(arrival(None)).await.expect("room");
    incoming.write(Bytes::from_static(text.as_bytes())).await.expect("a disk");
    let id = incoming.id();
    incoming.finish(upload(id)).await.expect("a disk")
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "spool.json");
    names.sort();
    names
}

#[test]
fn all_who_open_a_folder_find_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let ids = std::thread::scope(|scope| {
        let open = || scope.spawn(|| spool(folder.path()).id());
        [open(), open(), open(), open()].map(|thread| thread.join().unwrap())
    });
    assert_eq!(ids, [ids[0]; 4]);
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn what_was_received_is_described_by_the_folder_itself() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let new = receive(&spool, "id,name,time_of_start\n").await;
    assert_eq!(new.size, 22);
    assert_eq!(new.sha256.as_deref(), Some("30c30cdb769e40daac5da7cc5c3f36fe4e3a6bd6ff550b28320826bd06eafa15"));
    assert_eq!(new.place.spool, Some(spool.id()));
    assert_eq!(fs::read(new.place.path.as_ref().unwrap()).unwrap(), b"id,name,time_of_start\n");
    let found: Vec<_> = spool.infos().unwrap().collect();
    assert_eq!(found, std::slice::from_ref(&new));
    assert_eq!(names(folder.path()), [format!("{}.data", new.id), format!("{}.info.json", new.id)]);
    spool.remove(new.id).unwrap();
    spool.remove(new.id).unwrap();
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let mut incoming = spool.begin(arrival(Some(9))).await.unwrap();
    incoming.write(Bytes::from_static(b"id,na")).await.unwrap();
    incoming.discard().await;
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn an_arriving_upload_is_seen_from_outside_and_safe_from_clean_ups() {
    let folder = tempfile::tempdir().unwrap();
    let ours = spool(folder.path());
    let theirs = spool(folder.path());
    let note = arrival(Some(100));
    let mut incoming = theirs.begin(note.clone()).await.unwrap();
    incoming.write(Bytes::from_static(b"12345")).await.unwrap();
    assert_eq!(ours.clean_orphans_older_than(std::time::Duration::ZERO).unwrap(), 0);
    assert!(ours.receiving().unwrap().is_empty(), "it may be through at once");
    incoming.show().await.unwrap();
    assert_eq!(ours.clean_orphans_older_than(std::time::Duration::ZERO).unwrap(), 0);
    let seen = ours.receiving().unwrap();
    assert_eq!(seen.iter().map(|receiving| &receiving.arrival).collect::<Vec<_>>(), [&note]);
    let new = incoming.finish(upload(note.id)).await.unwrap();
    assert_eq!(new.size, 5);
    assert!(ours.receiving().unwrap().is_empty());
}

#[test]
fn a_clean_up_at_any_moment_takes_nothing_from_who_is_writing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                spool.clean_orphans().unwrap();
            }
        });
        let lost = (0..2000).filter(|_| {
            let id = UploadId::new();
            let files = [PART, INFO_TEMP].map(|kind| {
                let path = spool.file(id, kind);
                (create_locked(&path).unwrap(), path)
            });
            let lost = files.iter().any(|(_, path)| !path.exists());
            files.iter().for_each(|(_, path)| fs::remove_file(path).unwrap());
            lost
        });
        let lost = lost.count();
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(lost, 0);
    });
}

#[test]
fn after_a_crash_behind_any_step_there_is_no_upload_or_a_whole_one() {
    for taken in 0..=STEPS.len() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let new = upload(UploadId::new());
        {
            let mut part = File::create_new(spool.file(new.id, PART)).unwrap();
            part.lock().unwrap();
            part.write_all(b"12345").unwrap();
            fs::write(spool.file(new.id, ARRIVAL), "{}").unwrap();
            let commit = Commit { spool: &spool, info: &new, part: Some(&part), is_resumable: false };
            let mut locked = Locked::default();
            for step in &STEPS[..taken] {
                commit.take(*step, &mut locked).unwrap();
                assert_eq!(spool.clean_orphans().unwrap(), 0, "what lives is left alone ({step:?})");
            }
        }
        let whole = taken >= 4;
        spool.clean_orphans_older_than(std::time::Duration::ZERO).unwrap();
        assert_eq!(spool.infos().unwrap().count(), usize::from(whole), "after {taken} steps");
        assert_eq!(names(folder.path()).len(), if whole { 2 } else { 0 }, "after {taken} steps");
    }
}

#[test]
fn after_a_power_cut_that_kept_only_the_info_s_name_the_upload_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let new = upload(UploadId::new());
    fs::write(spool.file(new.id, PART), "12345").unwrap();
    fs::write(spool.file(new.id, INFO), serde_json::to_vec(&new).unwrap()).unwrap();
    assert_eq!(spool.read(new.id).unwrap(), None);
    spool.clean_orphans().unwrap();
    assert_eq!(spool.read(new.id).unwrap(), Some(new));
}

#[tokio::test]
async fn a_link_has_the_same_bytes_and_outlives_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let first = receive(&spool, "12345").await;
    let second = spool.link(first.id, NewUpload { id: UploadId::new(), ..first.clone() }).unwrap();
    spool.remove(first.id).unwrap();
    assert_eq!(fs::read(spool.path(second.id)).unwrap(), b"12345");
    assert_eq!(spool.ids().unwrap(), [second.id]);
    assert_eq!(second.place.path, Some(spool.path(second.id)));
}

#[tokio::test]
async fn what_would_take_the_space_to_be_kept_free_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let free = spool(folder.path()).free_bytes().unwrap();
    let spool = spool_keeping(folder.path(), free / 2).unwrap();
    let error = spool.begin(arrival(Some(free))).await.err().expect("no room");
    assert_eq!((error.code, error.service), ("disk_full", Some(Service::Disk)));
    assert!(error.to_string().contains("are kept free, and the file has"), "{error}");
    assert!(names(folder.path()).is_empty());
    spool.begin(arrival(Some(10))).await.expect("room for a small one").discard().await;
}

fn resumable(size: u64) -> Arrival {
    let resume = Resume {
        media_type: "text/csv".into(),
        options: RowOptions::default(),
        metadata: "filename YQ==".into(),
        offset: 0,
        hash: Default::default(),
        is_readable: false,
        is_unverified: false,
        boot: String::new(),
        last_byte_ms: chrono::Utc::now().timestamp_millis(),
    };
    Arrival { resume: Some(resume), ..arrival(Some(size)) }
}

async fn resume(spool: &Arc<Spool>, id: UploadId) -> Incoming {
    spool.resume(id).await.expect("a disk").expect("it is there")
}

/// Writes bytes and leaves them as a process does that dies.
async fn die_behind(mut incoming: Incoming, bytes: &'static str) {
    incoming.write(Bytes::from_static(bytes.as_bytes())).await.unwrap();
    incoming.size().await.unwrap();
    drop(incoming);
}

#[tokio::test]
async fn a_resumable_upload_goes_on_where_a_process_died() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let id = spool.begin(resumable(22)).await.unwrap().pause().await.unwrap().id;
    die_behind(resume(&spool, id).await, "id,name,").await;
    let mut again = resume(&spool, id).await;
    assert_eq!(again.size().await.unwrap(), 8);
    again.write(Bytes::from_static(b"time_of_start\n")).await.unwrap();
    assert_eq!(spool.clean_orphans_older_than(Duration::ZERO).unwrap(), 0);
    let new = again.finish(upload(id)).await.unwrap();
    assert_eq!(new.sha256.as_deref(), Some("30c30cdb769e40daac5da7cc5c3f36fe4e3a6bd6ff550b28320826bd06eafa15"));
    assert_eq!(names(folder.path()), [format!("{id}.data"), format!("{id}.info.json")]);
    assert!(spool.resume(id).await.unwrap().is_none());
}

#[tokio::test]
async fn after_another_boot_only_what_was_synced_counts() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let mut incoming = spool.begin(resumable(22)).await.unwrap();
    incoming.write(Bytes::from_static(b"id,name,")).await.unwrap();
    let mut note = incoming.pause().await.unwrap();
    die_behind(resume(&spool, note.id).await, "time").await;
    assert_eq!(spool.receiving_of(note.id).unwrap().unwrap().received, 12);
    note.resume.as_mut().unwrap().boot = "another".into();
    note.write(&spool, true).unwrap();
    let mut again = resume(&spool, note.id).await;
    assert_eq!(again.size().await.unwrap(), 8);
    again.write(Bytes::from_static(b"time_of_start\n")).await.unwrap();
    let new = again.finish(upload(note.id)).await.unwrap();
    assert_eq!(fs::read(spool.path(new.id)).unwrap(), b"id,name,time_of_start\n");
    assert_eq!(new.sha256.as_deref(), Some("30c30cdb769e40daac5da7cc5c3f36fe4e3a6bd6ff550b28320826bd06eafa15"));
}

#[tokio::test]
async fn of_bytes_whose_checksum_was_not_compared_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let id = spool.begin(resumable(22)).await.unwrap().pause().await.unwrap().id;
    die_behind(resume(&spool, id).await, "id").await;
    let mut incoming = resume(&spool, id).await;
    incoming.unverified().await.unwrap();
    die_behind(incoming, "xxxx").await;
    let mut incoming = resume(&spool, id).await;
    assert_eq!(incoming.size().await.unwrap(), 2);
    incoming.unverified().await.unwrap();
    incoming.write(Bytes::from_static(b"xxxx")).await.unwrap();
    assert_eq!(incoming.pause().await.unwrap().resume.unwrap().offset, 2);
    let mut incoming = resume(&spool, id).await;
    incoming.unverified().await.unwrap();
    incoming.write(Bytes::from_static(b",name")).await.unwrap();
    incoming.accept();
    assert_eq!(incoming.pause().await.unwrap().resume.unwrap().offset, 7);
    assert_eq!(fs::read(spool.file(id, PART)).unwrap(), b"id,name");
}

#[tokio::test]
async fn a_resumable_upload_is_whole_again_after_a_death_behind_any_step_of_its_end() {
    for taken in 0..=STEPS.len() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let mut incoming = spool.begin(resumable(5)).await.unwrap();
        incoming.write(Bytes::from_static(b"12345")).await.unwrap();
        let id = incoming.pause().await.unwrap().id;
        {
            let part = File::open(spool.file(id, PART)).unwrap();
            part.lock().unwrap();
            let new = upload(id);
            let commit = Commit { spool: &spool, info: &new, part: Some(&part), is_resumable: true };
            let mut locked = Locked::default();
            for step in &STEPS[..taken] {
                commit.take(*step, &mut locked).unwrap();
                assert_eq!(spool.clean_orphans_older_than(Duration::ZERO).unwrap(), 0, "{step:?}");
            }
        }
        spool.clean_orphans_older_than(Duration::ZERO).unwrap();
        let is_upload = taken >= 4;
        assert_eq!(spool.read(id).unwrap().is_some(), is_upload, "after {taken} steps");
        assert_eq!(spool.whole().unwrap(), if is_upload { vec![] } else { vec![id] }, "after {taken} steps");
        if !is_upload {
            assert_eq!(resume(&spool, id).await.finish(upload(id)).await.unwrap().size, 5);
        }
    }
}

#[tokio::test]
async fn two_never_write_to_one_upload() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (spool(folder.path()), spool(folder.path()));
    let incoming = ours.begin(resumable(22)).await.unwrap();
    let refused = theirs.resume(incoming.id()).await.err().expect("it is held");
    assert_eq!(refused.code, "upload_locked");
    let id = incoming.pause().await.unwrap().id;
    resume(&theirs, id).await.discard().await;
    assert!(names(folder.path()).is_empty());
    assert!(ours.resume(id).await.unwrap().is_none());
}
