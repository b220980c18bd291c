//! Bytes that another machine's server keeps, read by Range requests.

use std::{io, path::Path, time::Duration};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::io::StreamReader;

use crate::{
    error::{Error, Result, Service},
    source::{Bytes, Source},
};

/// For reaching a server, its TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// A client for reading content: it gives up on a server that is silent, never on a long file. It trusts the system's
/// authorities and those of `ca_file`, PEM.
pub fn client(ca_file: Option<&Path>) -> Result<Client> {
    // reqwest asks for the process's provider; the one that is there already is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().connect_timeout(CONNECT).read_timeout(Duration::from_secs(60));
    if let Some(file) = ca_file {
        let doing = || Error::fatal("configuration", format!("worker.tls_ca_file {}", file.display()));
        let pem = std::fs::read(file).map_err(|error| doing().because(error))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| doing().because(error))?;
        if authorities.is_empty() {
            return Err(doing().because("the file holds no certificate"));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(|error| Error::fatal("http_client", "preparing to fetch over HTTP").because(error))
}

/// The content of one upload on the server that took it.
pub struct HttpSource {
    pub client: Client,
    pub url: String,
    pub token: Option<SecretString>,
}

impl HttpSource {
    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    fn unavailable(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::unavailable(Service::Source, format!("fetching {}", self.url)).because(why)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = self.request(request).send().await.map_err(|error| self.unavailable(error.without_url()))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self
                .unavailable(format!("the server answers {}", response.status()))
                .next("give this worker a token (worker.token) whose hash the server knows ([[server.token]])")),
            status => Err(self.unavailable(format!("the server answers {status}"))),
        }
    }
}

#[async_trait]
impl Source for HttpSource {
    fn name(&self) -> String {
        self.url.clone()
    }

    async fn size(&self) -> Result<u64> {
        let response = self.send(self.client.head(&self.url)).await?;
        let length = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse().ok()).ok_or_else(|| self.unavailable("the server tells no length"))
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        if offset > 0 && offset == self.size().await? {
            return Ok(Box::new(io::Cursor::new(Vec::new())));
        }
        let range = format!("bytes={offset}-");
        let response = self.send(self.client.get(&self.url).header(header::RANGE, range)).await?;
        if offset > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(self.unavailable("the server ignores the Range asked for"));
        }
        let name = self.url.clone();
        let stream = response.bytes_stream().map_err(move |error| {
            let error = Error::unavailable(Service::Source, format!("fetching {name}")).because(error.without_url());
            io::Error::other(error)
        });
        Ok(Box::new(StreamReader::new(Box::pin(stream))))
    }
}
