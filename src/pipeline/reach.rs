//! Which of an upload's bytes this process can reach, and by which way. An announcement is input from outside: paths
//! are followed only inside configured folders, servers only when they are on the configured list.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    archive::{Archive, original},
    config,
    error::{Error, Result, Service},
    source::{FileSource, Source, http},
    spark::task::{Origin, Plan},
    spool,
    upload::{Upload, UploadId},
};

pub struct Reach {
    paths: Vec<PathBuf>,
    servers: Vec<String>,
    token: Option<SecretString>,
    client: reqwest::Client,
    archive: Arc<dyn Archive>,
}

impl Reach {
    pub fn new(worker: &config::Worker, archive: Arc<dyn Archive>) -> Result<Self> {
        Ok(Self {
            paths: worker.paths.clone(),
            servers: worker.servers.iter().map(|server| server.trim_end_matches('/').to_owned()).collect(),
            token: worker.token.clone(),
            client: http::client(worker.tls_ca_file.as_deref())?,
            archive,
        })
    }

    /// Whether an absolute path lies inside an allowed folder, links followed. A file that is not there is judged by its
    /// name, which must then hold no `..`. A relative path would be another one for each process.
    pub fn allows(&self, path: &Path) -> bool {
        if !path.is_absolute() {
            return false;
        }
        let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
        let real = path.canonicalize().ok().or_else(|| {
            // The file is missing: its folder decides, if that is there.
            let folder = path.parent()?.canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        });
        self.paths.iter().any(|allowed| {
            let allowed = allowed.canonicalize().unwrap_or_else(|_| allowed.clone());
            match &real {
                Some(real) => real.starts_with(&allowed),
                None => plain && path.starts_with(&allowed),
            }
        })
    }

    /// Whether any known way to the bytes is open to this process; asks nobody but the local file system.
    pub fn may_reach(&self, upload: &Upload) -> bool {
        self.file(upload).is_some() || self.server(upload).is_some() || archived_name(upload).is_some()
    }

    /// The first way that answers with a size: the file, the server that took it, the archive.
    pub async fn source(&self, upload: &Upload) -> Result<Arc<dyn Source>> {
        let mut refused = None;
        let file = self.file(upload).map(|path| -> Arc<dyn Source> { Arc::new(FileSource(path)) });
        for source in [file, self.server(upload)].into_iter().flatten() {
            match source.size().await {
                Ok(_) => return Ok(source),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(name) = archived_name(upload) {
            match self.archived(name).await {
                Ok(source) => return Ok(source),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| {
            Error::unavailable(
                Service::Source,
                format!("reading the bytes of upload {}: {}", upload.id(), missing(upload)),
            )
        }))
    }

    async fn archived(&self, name: &str) -> Result<Arc<dyn Source>> {
        let source = original::open(&self.archive, name).await?;
        source.size().await.map(|_| source)
    }

    fn file(&self, upload: &Upload) -> Option<PathBuf> {
        let path = upload.new.place.path.as_deref()?;
        let here = self.allows(path) && path.is_file() && upload.new.place.spool.is_none_or(|id| same_spool(path, id));
        here.then(|| path.to_owned())
    }

    fn server(&self, upload: &Upload) -> Option<Arc<dyn Source>> {
        self.served(upload.new.place.server.as_deref()?, upload.id())
    }

    fn served(&self, server: &str, id: UploadId) -> Option<Arc<dyn Source>> {
        let server = server.trim_end_matches('/');
        self.servers.iter().any(|allowed| allowed == server).then(|| -> Arc<dyn Source> {
            Arc::new(http::HttpSource {
                client: self.client.clone(),
                url: format!("{server}/uploads/{id}/content"),
                token: self.token.clone(),
            })
        })
    }
}

/// The bytes that a plan for Spark names, for an executor with these settings.
pub async fn origin(worker: &config::Worker, archive: Arc<dyn Archive>, plan: &Plan) -> Result<Arc<dyn Source>> {
    match &plan.origin {
        Origin::Archive(file) => original::open(&archive, file).await,
        Origin::Server(server) => Reach::new(worker, archive)?.served(server, plan.upload).ok_or_else(|| {
            Error::fatal("spark_server", format!("fetching from {server}: it is not one of worker.servers"))
                .next("add it to worker.servers in the executors' configuration, and worker.token")
        }),
    }
}

/// "waiting for its file on HOST".
pub fn missing(upload: &Upload) -> String {
    let place = &upload.new.place;
    match (&place.host, &place.path) {
        (Some(host), Some(path)) => format!("waiting for a worker that can read its file {} on {host}", path.display()),
        (_, Some(path)) => format!("waiting for a worker that can read its file {}", path.display()),
        (_, None) => "waiting for a worker that can read its file".into(),
    }
}

/// The name under which the archive holds the upload's bytes.
pub fn archived_name(upload: &Upload) -> Option<&str> {
    let own = upload.archive_name.as_deref().filter(|_| upload.archived_ms.is_some());
    own.or(upload.new.place.archive.as_deref())
}

/// A path of another machine may exist here too: the spool's own id tells.
fn same_spool(path: &Path, id: Uuid) -> bool {
    path.parent().and_then(|folder| spool::id_of(folder).ok()).is_some_and(|here| here == id)
}
