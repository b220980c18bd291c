//! What content is refused, and what becomes of sources that fail.

use tempfile::TempDir;
use tokio::io::AsyncRead;

use super::{TINY, WHOLE, csv, files, gzip, job, prepare, read, sha256, some_rows};
use crate::{
    error::{Error, Kind, Result, Service},
    load::CleanFile,
    source::{Bytes, MemorySource, Source},
    store::Bounds,
    upload::{Stage, Unit},
};

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
