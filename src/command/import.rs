//! `import`: the same pipeline for files at hand; waits for the end and says what became of each.

use std::{path::Path, sync::Arc};

use tokio_util::{io::ReaderStream, sync::CancellationToken};

use super::{
    Exit, account, follow, output,
    progress::{Line, View},
};
use crate::{
    cli::Import,
    error::{Error, Kind, Result},
    meter::Meter,
    pipeline::{Pipeline, process::Worker, receive::Offer, sweep, work::WorkFolder},
    shutdown,
    upload::{NewUpload, Upload},
};

pub async fn run(pipeline: Arc<Pipeline>, args: &Import) -> Result<Exit> {
    if args.name.is_some() && args.files.len() > 1 {
        return Err(Error::fatal("usage", "--name is for one file, several are given").next("import them one by one"));
    }
    // Once, not for each file.
    args.rows.apply(&mut pipeline.config.rows.clone())?;
    let stop = shutdown::on_signals()?;
    let worker = Worker::new(pipeline.clone(), WorkFolder::temporary(&pipeline.config.worker.work)?)?;
    let mut worst = Exit::Done;
    for (at, file) in args.files.iter().enumerate() {
        let exit = match import(&pipeline, &worker, file, args, &stop).await {
            Ok(upload) => {
                account::tell(&upload, (args.files.len() > 1).then_some(&*upload.new.filename))?;
                Exit::of_upload(&upload)
            }
            Err(error) => {
                output::error_about(&named(file), &error);
                Exit::of_error(&error)
            }
        };
        worst = worst.worst(exit);
        let left = &args.files[at + 1..];
        if stop.is_cancelled() && !left.is_empty() {
            let names = left.iter().map(|file| named(file)).collect::<Vec<_>>().join(", ");
            output::error(&Error::stopped(format!("stopped; not imported: {names}")).next("import these again"));
            worst = worst.worst(Exit::Later);
            break;
        }
    }
    // Where no server runs, nobody else does.
    if let Err(error) = sweep::remove_overdue(&pipeline).await {
        output::message(format_args!("what was kept long enough stays in the spool: {error}"));
    }
    pipeline.queue.close().await;
    Ok(worst)
}

async fn import(
    pipeline: &Pipeline,
    worker: &Worker,
    file: &Path,
    args: &Import,
    stop: &CancellationToken,
) -> Result<Upload> {
    let new = take(pipeline, worker, file, args, stop).await?;
    let mut line = Line::new(&new.filename, args.quiet);
    if args.announce {
        let how = || output::message(format_args!("next: {}", pipeline.how_to_follow(new.id)));
        pipeline.submit(&new).await.inspect_err(|_| how())?;
        return follow::until_end(pipeline.store.as_ref(), new.id, stop, |_| Ok(()), &mut line).await;
    }
    let meter = Meter::default();
    let view = || View { state: "waiting".into(), progress: meter.progress() };
    follow::work(&mut line, view, pipeline.import(worker, &new, &meter, stop)).await
}

fn is_piped(file: &Path) -> bool {
    file == Path::new("-")
}

/// How messages call it.
fn named(file: &Path) -> String {
    if is_piped(file) { "standard input".into() } else { file.display().to_string() }
}

async fn take(
    pipeline: &Pipeline,
    worker: &Worker,
    file: &Path,
    args: &Import,
    stop: &CancellationToken,
) -> Result<NewUpload> {
    let mut options = pipeline.config.rows.clone();
    args.rows.apply(&mut options)?;
    let own_name =
        if is_piped(file) { "stdin.csv".into() } else { file.file_name().unwrap_or_default().to_string_lossy() };
    let offer = Offer {
        filename: args.name.clone().unwrap_or_else(|| own_name.into_owned()),
        media_type: "text/csv".into(),
        sender: "local".into(),
        size: None,
        options,
    };
    let taken = if is_piped(file) {
        pipeline.take_stream(ReaderStream::with_capacity(tokio::io::stdin(), 1 << 20), offer, stop).await
    } else {
        pipeline.take_file(worker, file, offer, stop).await
    };
    taken.map_err(|error| match error.kind {
        Kind::Stopped => Error::stopped(format!("stopped while reading {}", named(file)))
            .next("import it again; nothing of it was kept"),
        _ => error,
    })
}
