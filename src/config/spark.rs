//! `[spark]`: what could never work is refused before anything is started with it.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    Spark,
    check::Check,
    file,
    text::{Size, Text},
};
use crate::error::Result;

pub(super) fn spark(file: file::Spark, token: Option<SecretString>, check: &Check) -> Result<Spark> {
    let Text(remote) = file.remote;
    let remote = Some(remote).filter(|remote| !remote.is_empty());
    if let Some(remote) = &remote {
        checked_remote(remote, check)?;
    }
    let Text(command) = file.command;
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "/._-+=:, ".contains(sign);
    let usable = !command.trim().is_empty() && command.chars().all(plain);
    let why = "it must be the executable's path on the executors: letters, digits, blanks and / . _ - + = : , only";
    check.that(usable, "spark.command", why)?;
    let (Text(Size(min_bytes)), Text(Size(chunk_bytes))) = (file.min_bytes, file.chunk_bytes);
    let holds = (64 << 10..=1 << 30).contains(&chunk_bytes);
    check.that(holds, "spark.chunk_bytes", "it must be from 64KiB to 1GiB")?;
    Ok(Spark {
        remote,
        token,
        min_bytes,
        chunk_bytes,
        parts: check.between("spark.parts", file.parts.0, 1, 1000)?,
        command,
        source: file.source,
        fallback: file.fallback,
        timeout: Duration::from_secs(check.between("spark.timeout_s", file.timeout_s.0, 5, 86_400)?.into()),
    })
}

fn checked_remote(remote: &str, check: &Check) -> Result<()> {
    let key = "spark.remote";
    let built = cfg!(feature = "spark");
    let without = "this userdata was built without Spark: build it with --features spark, or leave this empty";
    check.that(built, key, without)?;
    let host = remote.strip_prefix("sc://").and_then(|rest| rest.split(['/', ';']).next());
    let named = host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'));
    check.that(named, key, "it must be the address of a Spark Connect server, such as sc://spark:15002")?;
    let secret = remote.to_lowercase().contains("token=");
    check.that(!secret, key, "it must not hold the token, which would be shown: set spark.token or spark.token_file")
}
