//! What `[server]` means: addresses, limits, and who is let in.

use std::{collections::BTreeSet, path::Path};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Network, Server, Tls, Token,
    check::Check,
    file,
    text::{List, Text},
    token_file::{ADMIN, check_name},
};
use crate::error::Result;

/// Fewer characters are guessed (NIST SP 800-63B, 5.1.1.2).
const TOKEN_CHARACTERS: usize = 8;

/// The effective section; what follows from others lies in the folder `data`.
pub(super) fn server(
    file: file::Server,
    admin_token: Option<SecretString>,
    check: &Check,
    data: &Path,
) -> Result<Server> {
    let address = |key: &str, text: Option<Text<String>>| text.map(|Text(text)| check.address(key, &text)).transpose();
    check.that(file.max_upload_bytes.0.0 > 0, "server.max_upload_bytes", "it must be at least 1")?;
    let admin_token = admin_token.filter(|token| !token.expose_secret().is_empty());
    let short = admin_token.as_ref().is_some_and(|token| token.expose_secret().chars().count() < TOKEN_CHARACTERS);
    check.that(!short, "server.admin_token", format!("it must have at least {TOKEN_CHARACTERS} characters"))?;
    let tokens_file = match file.tokens_file {
        Some(Text(path)) => check.path("server.tokens_file", &path)?,
        None => data.join("tokens.toml"),
    };
    Ok(Server {
        listen: file.listen.0,
        public_url: address("server.public_url", file.public_url)?,
        worker_url: address("server.worker_url", file.worker_url)?,
        max_upload_bytes: file.max_upload_bytes.0.0,
        max_connections: check.between("server.max_connections", file.max_connections.0, 1, 1_000_000)?,
        max_uploads_at_once: check.between("server.max_uploads_at_once", file.max_uploads_at_once.0, 1, 1_000_000)?,
        open_to: networks(&file.open_to, check)?,
        tokens: tokens(file.token, admin_token.is_some(), check)?,
        admin_token,
        tokens_file,
        tls: tls(file.tls, check)?,
    })
}

fn networks(List(texts): &List, check: &Check) -> Result<Vec<Network>> {
    let read = |text: &String| text.parse().map_err(|why: String| check.wrong("server.open_to", why));
    texts.iter().map(read).collect()
}

fn tokens(listed: Vec<file::Token>, admin: bool, check: &Check) -> Result<Vec<Token>> {
    let key = "server.token";
    let mut names: BTreeSet<String> = admin.then(|| ADMIN.to_owned()).into_iter().collect();
    let mut tokens = Vec::new();
    for file::Token { name: Text(name), sha256: Text(hash), role } in listed {
        check_name(&name).map_err(|why| check.wrong(key, why))?;
        check.that(names.insert(name.clone()), key, format!("two tokens have the name \"{name}\""))?;
        let sha256 = check.sha256("server.token.sha256", &hash)?;
        tokens.push(Token { name, sha256, role });
    }
    Ok(tokens)
}

fn tls(file: file::Tls, check: &Check) -> Result<Option<Tls>> {
    match (file.certificate, file.key) {
        (None, None) => Ok(None),
        (Some(Text(certificate)), Some(Text(key))) => Ok(Some(Tls {
            certificate: check.path("server.tls.certificate", &certificate)?,
            key: check.path("server.tls.key", &key)?,
        })),
        (Some(_), None) => Err(check.wrong("server.tls.certificate", "it needs server.tls.key, too")),
        (None, Some(_)) => Err(check.wrong("server.tls.key", "it needs server.tls.certificate, too")),
    }
}
