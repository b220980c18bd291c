//! `import --dry-run`: reads and cleans files as a load does, and says what would become of their rows. Nothing is
//! registered, archived or stored, and no service is asked: what the table holds already is not known.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    Exit, account, follow,
    output::{self, counted, grouped, printable},
    progress::{Line, View},
};
use crate::{
    blocking,
    cli::Import,
    config::Config,
    disk::Disks,
    error::{Error, Result},
    load::{CleanFile, Job},
    meter::Meter,
    pipeline::{
        import::regular_file,
        process::{assumed, may_be_stored, other_options, room},
        work::WorkFolder,
    },
    rows::{Existing, RowOptions},
    shutdown,
    source::FileSource,
    store::Bounds,
    upload::{Cleaned, UploadId},
};

pub async fn run(config: &Config, args: &Import) -> Result<Exit> {
    let mut options = config.rows.clone();
    args.rows.apply(&mut options)?;
    let stop = shutdown::on_signals()?;
    let work = WorkFolder::temporary(&config.worker.work)?;
    let mut worst = Exit::Done;
    for file in &args.files {
        let shown = file.display().to_string();
        let told = match clean(config, &options, &work, file, args.quiet, &stop).await {
            Ok((cleaned, distinct)) => tell(&shown, &options, &cleaned, distinct),
            Err(error) => Err(error),
        };
        worst = worst.worst(told.unwrap_or_else(|error| {
            output::error_about(&shown, &error);
            Exit::of_error(&error)
        }));
        if stop.is_cancelled() {
            return Ok(worst.worst(Exit::Later));
        }
    }
    Ok(worst)
}

/// What is in a file, and how many ids.
async fn clean(
    config: &Config,
    options: &RowOptions,
    work: &WorkFolder,
    file: &Path,
    quiet: bool,
    stop: &CancellationToken,
) -> Result<(Cleaned, u64)> {
    if file == Path::new("-") {
        let text = "standard input is read once, and a dry run reads twice";
        return Err(Error::fatal("usage", text).next("write it into a file first"));
    }
    let (path, size) = regular_file(file).await?;
    let (source, work) = (Arc::new(FileSource(path)), work.of(UploadId::new()));
    let _room = room(&Disks::default(), &work, size, source.as_ref()).await?;
    let meter = Meter::default();
    let job = Job {
        source,
        options: options.clone(),
        work: work.clone(),
        memory_bytes: config.worker.memory_bytes,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        merges: 1,
        expanded_max_bytes: config.server.max_upload_bytes,
        expected_sha256: None,
        meter: meter.clone(),
        stop: stop.clone(),
    };
    let mut line = Line::new(&file.display().to_string(), quiet);
    let view = || View { state: "reading".into(), progress: meter.progress() };
    let clean = follow::work(&mut line, view, CleanFile::prepare(job)).await?;
    let found = clean.cleaned().clone();
    let distinct = blocking::run(move || distinct(&clean)).await;
    CleanFile::remove(&work);
    Ok((found, distinct.map_err(|panic| Error::fatal("panic", "counting the ids").because(panic))??))
}

fn distinct(clean: &CleanFile) -> Result<u64> {
    let mut merge = clean.merge(&Bounds::default(), None, clean.existing())?;
    let mut ids = 0;
    while merge.next_row()?.is_some() {
        ids += 1;
    }
    Ok(ids)
}

fn tell(file: &str, options: &RowOptions, cleaned: &Cleaned, distinct: u64) -> Result<Exit> {
    let line = if options.existing == Existing::Keep { "first" } else { "last" };
    let repeated = counted(cleaned.good - distinct, "row repeats an id", "rows repeat ids");
    output::line(format_args!(
        "{}: {} read, {} would be stored unless the table has them, {repeated} (the {line} line counts), {} rejected. \
         Nothing was stored.",
        printable(file),
        counted(cleaned.read, "row", "rows"),
        counted(distinct, "user", "users"),
        grouped(cleaned.rejected),
    ))?;
    account::reasons(cleaned).into_iter().for_each(output::message);
    let command = format!("userdata import {}", printable(file));
    other_options(&command, options, cleaned).iter().for_each(|remark| output::message(printable(remark)));
    let assumed = assumed(&cleaned.times);
    if assumed > 0 {
        let times = counted(assumed, "time has", "times have");
        output::message(format_args!("{times} no offset and would count as {}; another: --zone ZONE", options.zone));
    }
    may_be_stored(options, cleaned)?;
    Ok(if cleaned.rejected > 0 { Exit::DoneWithRejects } else { Exit::Done })
}
