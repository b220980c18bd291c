//! An upload that a cluster cleans and sorts: this worker makes the index, chooses the ranges, asks for the job and checks
//! that it adds up. What comes back are parts, which are loaded as any other rows.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::{io::AsyncReadExt, runtime::Handle};
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    archive,
    job::Job,
    sorted::{Parts, Sorted},
};
use crate::{
    archive::{
        StoredFile,
        joined::Joined,
        original::{Chunk, PartsList},
    },
    blocking,
    config::{self, SparkFallback, SparkSource},
    error::{Error, Result, Service},
    load::{
        folder::Folder,
        index,
        index::Index,
        input::{Reading, stopped},
    },
    pipeline::reach,
    rows::{GZIP_HEAD_BYTES, RejectWriter, is_gzip},
    source::{self, Source},
    spark::{
        Version,
        connect::{self, Remote},
        manifest::Manifest,
        sample, sql,
        task::{Origin, Plan},
    },
    upload::{Stage, Unit, Upload, UploadId},
    wording::counted,
};

/// What the work folder keeps of an index while the cluster is waited for.
const INDEX: &str = "spark-index.json";
/// A plan goes to every chunk: with a header larger than this one worker does better.
const LAYOUT_MAX_BYTES: usize = 64 << 10;

/// The rows of an archived upload, made by the cluster. None where this worker has to do it: of what a cluster cannot
/// do, or, with that fallback, while the cluster cannot be reached.
pub async fn sorted(job: &Job, upload: &Upload, source: Arc<dyn Source>) -> Result<Option<Sorted>> {
    let spark = &job.pipeline.config.spark;
    let Some(address) = &spark.remote else { return Ok(None) };
    if is_gzip(&source::head(source.as_ref(), GZIP_HEAD_BYTES).await?) {
        info!(upload = %upload.id(), "gzip content is not given to Spark: done by this worker");
        return Ok(None);
    }
    let remote = Remote { address: address.clone(), token: spark.token.clone() };
    match made(job, upload, source, &remote).await {
        Err(error) if error.service == Some(Service::Spark) && spark.fallback == SparkFallback::Worker => {
            warn!(upload = %upload.id(), %error, "done by this worker alone");
            let message = format!("Spark cannot be used, done by one worker alone: {error}");
            job.pipeline.store.note(&job.claim, &message).await?;
            Ok(None)
        }
        made => made.map(|parts| parts.map(Sorted::Parts)),
    }
}

async fn made(job: &Job, upload: &Upload, source: Arc<dyn Source>, remote: &Remote) -> Result<Option<Parts>> {
    let spark = &job.pipeline.config.spark;
    // Before anything that takes long.
    job.unless_stopped(remote.reach()).await?;
    let Prepared { index, sha256, cuts } = prepared(job, upload, source).await?;
    let chunks = index.segments.len();
    let header = serde_json::to_vec(&index.layout).map_or(usize::MAX, |json| json.len());
    if chunks == 0 || header > LAYOUT_MAX_BYTES {
        return Ok(None);
    }
    let chosen = match archive::comes_in_chunks(&job.pipeline.config, upload) {
        true => Some(archive::choose_name(job, upload).await?),
        false => None,
    };
    let plan = Plan {
        version: Version::own(),
        upload: upload.id(),
        fence: job.claim.fence.number,
        origin: origin(spark, upload)?,
        layout: index.layout.clone(),
        options: upload.new.options.clone(),
        cuts,
        keeps_chunks: chosen.is_some(),
    };
    let (tasks, ranges) = ((chunks + plan.ranges()) as u64, plan.ranges());
    let what = format!(
        "cleaning on Spark: {} to {}",
        counted(chunks as u64, "chunk", "chunks"),
        counted(ranges as u64, "range", "ranges")
    );
    info!(upload = %upload.id(), chunks, ranges, "cleaning on Spark");
    job.pipeline.store.note(&job.claim, &what).await?;
    job.meter.begin(Stage::Clean, tasks, Unit::Tasks);
    let statement = sql::statement(&plan, &index.segments, &spark.command)?;
    let asked = connect::Job {
        session: session(upload.id()),
        tag: format!("userdata-{}-{}", upload.id(), plan.fence),
        sql: statement,
        chunks,
        tasks,
        timeout: spark.timeout,
    };
    #[cfg(feature = "faults")]
    crate::faults::hold("spark").await;
    let collected = remote.run(asked, &job.meter, &job.stop).await?;
    let Manifest { tally, parts, rejects, raw } = collected.check(&plan, &index.segments)?;
    #[cfg(feature = "faults")]
    crate::faults::hold("collected").await;
    let rejects = if rejects.is_empty() {
        None
    } else {
        let mut writer = RejectWriter::new(Vec::new(), &plan.layout, &plan.options);
        writer.header().map_err(|error| Error::fatal("rejects", "writing a header in memory").because(error))?;
        let (archive, what) = (job.pipeline.archive.clone(), "the rejects of chunks".into());
        Some(Joined { archive, what, head: writer.into_inner(), files: rejects })
    };
    if let Some(chosen) = &chosen {
        archive::keep_chunks(job, upload, chosen, list(upload, raw, &index, &sha256)).await?;
    }
    // Each is read once before the first of their rows may be stored.
    job.unless_stopped(read_once(job, parts.iter().map(|(_, part)| part.file.clone()).collect())).await?;
    Parts::made(job, tally.cleaned(sha256), parts, rejects).await.map(Some)
}

/// The session of all jobs for an upload. The server takes UUIDs of version 4 alone.
fn session(upload: UploadId) -> Uuid {
    let hash: [u8; 32] = Sha256::digest(upload.to_string()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The list of the chunks that were kept.
fn list(upload: &Upload, raw: Vec<StoredFile>, index: &Index, sha256: &str) -> PartsList {
    let first_line = |number: usize| if number == 0 { 1 } else { index.segments[number].first_line };
    let chunks = raw.into_iter().enumerate();
    PartsList {
        format: PartsList::FORMAT,
        size: upload.new.size,
        sha256: Some(sha256.to_owned()),
        chunks: chunks.map(|(number, file)| Chunk { file, first_line: first_line(number) }).collect(),
    }
}

/// Where the executors are to read the file.
fn origin(spark: &config::Spark, upload: &Upload) -> Result<Origin> {
    let archived = reach::archived_name(upload).map(|file| Origin::Archive(file.to_owned()));
    let server = upload.new.place.server.clone().filter(|_| spark.source == SparkSource::Server);
    server.map(Origin::Server).or(archived).ok_or_else(|| {
        Error::unavailable(Service::Source, format!("executors cannot reach the bytes of upload {}", upload.id()))
            .next("set spark.source = \"archive\", or server.worker_url where the file was taken")
    })
}

/// What is known of a file before the job.
#[derive(serde::Serialize, serde::Deserialize)]
struct Prepared {
    index: Index,
    /// Of the whole file.
    sha256: String,
    cuts: Vec<String>,
}

/// As the work folder keeps it: of another file, or with other settings, it is no use.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    key: serde_json::Value,
    prepared: Prepared,
}

/// Reads the whole file for the index, and a little of many places for the ranges; or what an attempt before has kept,
/// which is worth something only of a file whose hash is known.
async fn prepared(job: &Job, upload: &Upload, source: Arc<dyn Source>) -> Result<Prepared> {
    let (options, expected) = (upload.new.options.clone(), upload.new.sha256.clone());
    let (chunk_bytes, ranges) = (job.pipeline.config.spark.chunk_bytes, job.pipeline.config.spark.parts);
    let key = serde_json::json!([Version::own(), options, expected, chunk_bytes, ranges]);
    let (meter, stop, runtime) = (job.meter.clone(), job.stop.clone(), Handle::current());
    let (folder, reading) = (job.work.clone(), Reading { source, meter, stop, runtime });
    let name = reading.source.name();
    let done = blocking::run_until(&job.stop, move || {
        let folder = Folder::open(&folder, &reading.stop)?;
        let kept = folder.read_json::<Kept>(INDEX).filter(|kept| kept.key == key && expected.is_some());
        if let Some(Kept { prepared, .. }) = kept {
            return Ok(prepared);
        }
        let size = reading.size()?;
        reading.meter.begin(Stage::Index, size, Unit::Bytes);
        let pass = index::index(reading.open(0, u64::MAX)?, &options, chunk_bytes)?;
        let (index, sha256) = pass.of_received(&reading.source.name(), size, expected.as_deref())?;
        let cuts = sample::cuts(&reading, &index, &options, ranges)?;
        let kept = Kept { key, prepared: Prepared { index, sha256, cuts } };
        folder.write_json(INDEX, &kept)?;
        Ok(kept.prepared)
    });
    match done.await {
        Ok(Some(done)) => done,
        Ok(None) => Err(stopped(&name)),
        Err(panic) => Err(Error::fatal("panic", "indexing the file").because(panic)),
    }
}

/// Reads parts to their ends: an error, code `archived_file_changed`, where one is not what the executor wrote.
async fn read_once(job: &Job, files: Vec<StoredFile>) -> Result<()> {
    let archive = job.pipeline.archive.clone();
    let all = Joined { archive, what: "the parts".into(), head: Vec::new(), files };
    job.meter.begin(Stage::Split, all.size().await?, Unit::Bytes);
    let (mut input, mut piece) = (all.open(0).await?, Vec::with_capacity(256 << 10));
    loop {
        piece.clear();
        let read = input.read_buf(&mut piece).await.map_err(|error| unreadable(&all, error))?;
        if read == 0 {
            return Ok(());
        }
        job.meter.add(read as u64);
    }
}

fn unreadable(source: &Joined, error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| {
        Error::unavailable(Service::Archive, format!("reading {}", source.name())).because(error)
    })
}
