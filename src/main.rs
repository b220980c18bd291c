//! The executable: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use userdata::{cli::Cli, command};

fn main() -> ExitCode {
    command::run(Cli::parse()).into()
}
