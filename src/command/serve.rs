//! `serve`: takes uploads over HTTP; with a local queue, or when asked to, it also works on them.

use std::{
    fs::{self, File},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{Exit, output};
use crate::{
    config::{Config, QueueKind, StoreKind, TokenFile},
    error::{Error, Result},
    pipeline::{Pipeline, again::Again, process::Worker, receive::Receiver, sweep, work::WorkFolder},
    shutdown,
    upload::{NewUpload, UploadId},
    web,
};

pub async fn run(config: Arc<Config>, with_worker: bool) -> Result<Exit> {
    let stop = shutdown::on_signals()?;
    refuse_open_doors(&config)?;
    let _lock = lock_data(&config)?;
    let listener = web::bind(config.server.listen)?;
    let address = listener.local_addr().map_err(|error| Error::fatal("listen", "listening").because(error))?;
    let pipeline = Pipeline::open(config.clone()).await?;
    let spool = pipeline.spool()?;
    let worker = if with_worker || config.queue.kind == QueueKind::Local {
        Some(Worker::new(pipeline.clone(), WorkFolder::open(&config.worker.work)?)?)
    } else {
        None
    };
    let mut receiver = Receiver::new(spool, config.clone());
    receiver.stop = stop.clone();
    let intake = Arc::new(Intake { pipeline: pipeline.clone() });
    let (store, archive, queue) = (pipeline.store.clone(), pipeline.archive.clone(), pipeline.queue.clone());
    let context = web::Context::new(receiver, store, archive, queue, intake)?;
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    tasks.spawn(web::serve(listener, context, stop.clone()));
    let (sweeping, token) = (pipeline.clone(), stop.clone());
    tasks.spawn(async move { sweep::spool(&sweeping, &token).await });
    if let Some(worker) = worker {
        let token = stop.clone();
        tasks.spawn(async move { worker.run(token).await });
    }
    // No browser goes to 0.0.0.0.
    let shown =
        if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() };
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let page = config.server.public_url.clone().unwrap_or_else(|| format!("{scheme}://{shown}"));
    info!(page, spool = %config.spool.path.display(), store = pipeline.store.name(), "serving");
    output::message(format_args!("userdata is at {page}; data in {}", config.data.display()));
    shutdown::ready();
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|panic| {
            Err(Error::fatal("task_failed", "a task of this server ended unexpectedly").because(panic))
        });
        if ended.is_err() {
            stop.cancel();
            outcome = outcome.and(ended);
        }
    }
    outcome.map(|()| Exit::Done)
}

/// Without a token whoever reaches the server may do everything: then only this machine may reach it. What `open_to`
/// allows is one way in, and says nothing of the others.
fn refuse_open_doors(config: &Config) -> Result<()> {
    let server = &config.server;
    let file = TokenFile { path: server.tokens_file.clone() };
    let tokens = server.admin_token.is_some() || !server.tokens.is_empty() || !file.read()?.is_empty();
    if !tokens && !server.listen.ip().to_canonical().is_loopback() {
        let listen = server.listen;
        let text = format!(
            "other machines reach server.listen = {listen}, and there is no access token: anybody could read and change everything"
        );
        return Err(Error::fatal("configuration", text).next(
            "make one with `userdata token add NAME --role admin` (or set server.admin_token), or listen on 127.0.0.1",
        ));
    }
    if !tokens && let Some(url) = &server.public_url {
        warn!(
            url,
            "users come from elsewhere, and there is no access token: whoever reaches this address may do everything"
        );
    }
    Ok(())
}

/// Two embedded servers on one folder would fight over one database: the second is refused.
fn lock_data(config: &Config) -> Result<Option<File>> {
    if config.store.kind != StoreKind::Sqlite {
        return Ok(None);
    }
    let data = &config.data;
    let unusable = |error| {
        Error::fatal("data_folder", format!("using the data folder {}", data.display()))
            .because(error)
            .next("let this user write there, or set data to another folder")
    };
    fs::create_dir_all(data).map_err(unusable)?;
    let lock = File::create(data.join("serve.lock")).map_err(unusable)?;
    if lock.try_lock().is_err() {
        return Err(Error::fatal(
            "data_folder_in_use",
            format!("another server uses the data folder {}", data.display()),
        )
        .next("stop it, or give this one a folder of its own (USERDATA_DATA=FOLDER)"));
    }
    Ok(Some(lock))
}

/// What the server hands on to the pipeline.
struct Intake {
    pipeline: Arc<Pipeline>,
}

#[async_trait]
impl web::Intake for Intake {
    async fn register(&self, new: &NewUpload) -> Result<()> {
        self.pipeline.register(new).await
    }

    async fn announce(&self, new: &NewUpload) -> Result<()> {
        self.pipeline.announce(new).await
    }

    async fn wake(&self, id: UploadId) {
        if let Ok(Some(upload)) = self.pipeline.store.upload(id).await {
            // Workers find it in the ledger all the same.
            let _ = self.pipeline.announce(&upload.new).await;
        }
    }

    async fn again(&self, again: Again) -> Result<NewUpload> {
        self.pipeline.again(again).await
    }
}
