//! `health`: asks the server of this configuration whether it is ready; for containers.

use std::{net::IpAddr, time::Duration};

use super::{Exit, output};
use crate::{
    config::Config,
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
    let url = format!("http://{address}/readyz");
    let down = |error: reqwest::Error| {
        let next = format!("start it: userdata serve --listen {}", config.server.listen);
        Error { code: "not_ready", ..Error::stopped(format!("no answer from {url}")) }
            .because(error.without_url())
            .next(next)
    };
    let answer = http::client()?.get(&url).timeout(PATIENCE).send().await.map_err(down)?;
    let ready = answer.status().is_success();
    let text = answer.text().await.map_err(down)?;
    output::line(text.trim_end())?;
    Ok(if ready { Exit::Done } else { Exit::Later })
}
