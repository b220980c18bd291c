//! `compose/bench`: the program beside what a person would use instead, on the same server in one run. It makes its
//! rows itself, checks every count, and prints what it measured; `compose/bench` starts it in a folder of its own and
//! removes that whatever happens.

mod archive;
mod database;
mod load;
mod measure;
mod product;
mod report;
mod rows;
mod spark;
mod transfer;
mod upload;

use std::{error::Error, fmt::Display, fs, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures the program beside what a person would use instead
#[derive(Debug, Parser)]
#[command(name = "bench", bin_name = "compose/bench", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// `userdata import` beside LOAD DATA, GNU sort, sqlite3
    Load(LoadArgs),
    /// Files over HTTP, beside nginx's WebDAV and tusd
    Upload(UploadArgs),
    /// A file to an FTP server, beside curl and lftp
    Archive(ArchiveArgs),
    /// An upload by Apache Spark with two executors, beside one worker
    Spark(SparkArgs),
}

/// What is done with what was measured.
#[derive(Debug, Args)]
pub struct Output {
    /// Also write everything measured as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print the tables in Markdown
    #[arg(long)]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub struct UploadArgs {
    /// Times each way is measured, in alternating order; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Bytes above which files are left out
    #[arg(long, value_name = "BYTES", default_value_t = u64::MAX)]
    pub largest: u64,
    #[command(flatten)]
    pub output: Output,
    /// Empty folder for files, on the disk that is measured
    #[arg(long, env = "USERDATA_BENCH_FOLDER", hide = true)]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct ArchiveArgs {
    /// Times each way is measured, in alternating order; the median counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Size of the file, bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub size: u64,
    #[command(flatten)]
    pub output: Output,
    /// Empty folder for files, on the disk that is measured
    #[arg(long, env = "USERDATA_BENCH_FOLDER", hide = true)]
    pub folder: PathBuf,
    /// Where `compose/services` keeps the servers of this run
    #[arg(long, env = "USERDATA_SERVICES", hide = true)]
    pub services: PathBuf,
}

#[derive(Debug, Args)]
pub struct SparkArgs {
    /// Rows of the large file
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub rows: u64,
    /// Times each way is measured, in alternating order; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    #[command(flatten)]
    pub output: Output,
    /// Empty folder for files, on the disk that is measured
    #[arg(long, env = "USERDATA_BENCH_FOLDER", hide = true)]
    pub folder: PathBuf,
    /// Where `compose/services` keeps the servers of this run
    #[arg(long, env = "USERDATA_SERVICES", hide = true)]
    pub services: PathBuf,
}

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// What to measure; without a name, all of it
    #[arg(value_enum, value_name = "CASE")]
    pub cases: Vec<load::Case>,
    /// Rows of a file; `large` has four times as many, `many-runs` eight times
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub rows: u64,
    /// Times each way is measured, in alternating order; the median counts. Raw LOAD DATA is measured once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Leave LOAD DATA of the raw file out, which takes minutes
    #[arg(long)]
    pub without_raw: bool,
    /// A setting of `userdata`, such as worker.slots=8; may be given several times. Without it, the defaults
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    #[command(flatten)]
    pub output: Output,
    /// Empty folder for files, on the disk that is measured
    #[arg(long, env = "USERDATA_BENCH_FOLDER", hide = true)]
    pub folder: PathBuf,
    /// Where `compose/services` keeps the servers of this run
    #[arg(long, env = "USERDATA_SERVICES", hide = true)]
    pub services: PathBuf,
}

/// As the variable that `userdata` reads it from, and its value.
fn setting(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as worker.slots=8")?;
    Ok((format!("USERDATA_{}", key.to_uppercase().replace('.', "__")), value.to_owned()))
}

fn main() -> ExitCode {
    let measured = match Cli::parse().what {
        What::Load(args) => load::run(&args).and_then(|report| {
            tell(&args.output, &report, &report.tables(args.output.markdown))?;
            Ok(report.failures())
        }),
        What::Upload(args) => upload::run_all(&args).and_then(|report| {
            tell(&args.output, &report, &report.tables(args.output.markdown))?;
            Ok(Vec::new())
        }),
        What::Archive(args) => archive::run_all(&args).and_then(|report| {
            tell(&args.output, &report, &report.tables(args.output.markdown))?;
            Ok(Vec::new())
        }),
        What::Spark(args) => spark::run(&args).and_then(|report| {
            tell(&args.output, &report, &report.tables(args.output.markdown))?;
            Ok(Vec::new())
        }),
    };
    let failures = measured.unwrap_or_else(|error| vec![error.to_string()]);
    for failure in &failures {
        eprintln!("compose/bench: failed: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn tell(output: &Output, report: &impl Serialize, tables: &str) -> Result<()> {
    print!("{tables}");
    if let Some(file) = &output.json {
        let text = serde_json::to_string_pretty(report)?;
        fs::write(file, text + "\n").map_err(|error| format!("writing {}: {error}", file.display()))?;
    }
    Ok(())
}

/// Says what is going on; the tables come last, on standard output.
fn say(text: impl Display) {
    eprintln!("{} {text}", chrono::Local::now().format("%H:%M:%S"));
}
