//! `health`: asks the server of this configuration whether it is ready; for containers.

use std::{net::IpAddr, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::ExposeSecret;

use super::{Exit, output};
use crate::{
    config::{self, Config},
    error::{Error, Result},
    source::http,
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run(config: &Config) -> Result<Exit> {
    let mut address = config.server.listen;
    if address.ip().is_unspecified() {
        // Listening on every address includes this machine's own.
        let local: IpAddr =
            if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(local);
    }
    let tls = config.server.tls.as_ref();
    let url = format!("{}://{address}/readyz", if tls.is_some() { "https" } else { "http" });
    let down = |error: reqwest::Error| {
        let next = format!("start it: userdata serve --listen {}", config.server.listen);
        Error { code: "not_ready", ..Error::stopped(format!("no answer from {url}")) }
            .because(error.without_url())
            .next(next)
    };
    let client = match tls {
        None => http::client(None)?,
        Some(tls) => pinned(tls)?,
    };
    let mut request = client.get(&url).timeout(PATIENCE);
    if let Some(token) = &config.server.admin_token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await.map_err(down)?;
    let ready = answer.status().is_success();
    let text = answer.text().await.map_err(down)?;
    output::line(text.trim_end())?;
    Ok(if ready { Exit::Done } else { Exit::Later })
}

/// A client that trusts the certificate of this configuration, whatever its name and issuer, and no other.
fn pinned(tls: &config::Tls) -> Result<reqwest::Client> {
    let path = tls.certificate.display();
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::fatal("configuration", format!("server.tls.certificate {path}")).because(error)
    };
    let certificate = CertificateDer::from_pem_file(&tls.certificate).map_err(|error| wrong(error.into()))?;
    let config = crate::source::pin::client_config(certificate).map_err(|error| wrong(error.into()))?;
    let built = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build();
    built.map_err(|error| wrong(error.into()))
}
