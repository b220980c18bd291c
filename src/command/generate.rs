//! `example`, `completions`, `man`: files that the executable carries or can write itself.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Exit, output};
use crate::{cli::Cli, error::Result, example};

pub fn example() -> Result<Exit> {
    output::data(example::CSV)?;
    Ok(Exit::Done)
}

pub fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "userdata", &mut script);
    output::data(script)?;
    Ok(Exit::Done)
}

/// Writes `userdata.1`, `userdata-import.1`, … into `folder`, which it makes.
pub fn man(folder: &Path) -> Result<Exit> {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|error| output::unwritten(&folder.display().to_string(), error))?;
    Ok(Exit::Done)
}
