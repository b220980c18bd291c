//! The command line as typed. What it means is decided by `command`.

mod row_flags;

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand,
    builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser},
    value_parser,
};
use clap_complete::Shell;

use crate::{config::Role, rows::Existing, store::States, upload::UploadId};
pub use row_flags::RowFlags;

/// Takes CSV files of users safely, archives them, cleans every row and stores each id once
#[derive(Debug, Parser)]
#[command(name = "userdata", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Read this file instead of ./Config.toml or /etc/userdata/Config.toml
    // An empty variable counts as unset, which a path may not be.
    #[arg(long, global = true, value_name = "FILE", env = "USERDATA_CONFIG", hide_env_values = true)]
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The file that is named.
    pub fn config(&self) -> Option<PathBuf> {
        self.config.clone().filter(|path| !path.as_os_str().is_empty())
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  usage or configuration
  3  done with rejects
  4  no such upload
  5  try again later";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take uploads over HTTP: page, API, status
    Serve(Serve),
    /// Archive, clean and load announced uploads
    Worker,
    /// The topic of the announcements
    #[command(subcommand)]
    Topic(Topic),
    /// The database
    #[command(subcommand)]
    Db(Db),
    /// Access tokens of the server
    #[command(subcommand)]
    Token(Token),
    /// Load files and wait for the end
    Import(Import),
    /// Show uploads, or everything about one
    Status(Status),
    /// Open an upload again that failed or was cancelled
    Retry(Retry),
    /// Load an upload's bytes once more, with other options
    Again(Again),
    /// Stop an upload
    Cancel(Cancel),
    /// Write an upload's rejected rows as CSV
    Rejects(Rejects),
    /// Bring an upload's original back from the archive
    Fetch(Fetch),
    /// Show the effective configuration and where each value came from
    Config(ShowConfig),
    /// Write an example file with every kind of row
    Example,
    /// Ask the server of this configuration whether it is ready
    Health,
    /// Write a shell's completions
    Completions { shell: Shell },
    /// Write manual pages, one a command, into a folder
    #[command(hide = true)]
    Man { folder: PathBuf },
    /// Started by Spark on an executor: clean the chunks that standard input names
    #[command(hide = true)]
    SparkClean,
    /// Started by Spark on an executor: make parts of the sorted rows of standard input
    #[command(hide = true)]
    SparkPart(SparkPart),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on, instead of server.listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Also run a worker, as is done anyway where the queue is local
    #[arg(long)]
    pub worker: bool,
}

#[derive(Debug, Subcommand)]
pub enum Topic {
    /// Create the topic and its dead-letter topic, or say what is there; may be run again
    Create(TopicCreate),
}

#[derive(Debug, Args)]
pub struct TopicCreate {
    /// Instead of queue.kafka.partitions
    #[arg(long, value_name = "N")]
    pub partitions: Option<i32>,
    /// Instead of queue.kafka.replication; -1 is the broker's default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub replication_factor: Option<i32>,
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make one and print it: it is shown once; a running server knows it within a second
    Add(TokenAdd),
    /// Show the names and roles of all
    List,
    /// Take one away, and the sessions that began with it
    Remove { name: String },
}

#[derive(Debug, Args)]
pub struct TokenAdd {
    /// Who will use it; shown as the sender of uploads
    pub name: String,
    /// upload: sends, sees its own uploads; read: sees all, but no rows; worker: reads contents; admin: everything
    #[arg(long)]
    pub role: Role,
}

#[derive(Debug, Subcommand)]
pub enum Db {
    /// Create database and tables, or say what is there; may be run again
    Init(DbInit),
}

#[derive(Debug, Args)]
pub struct DbInit {
    /// Also change an older user table, so that ids are compared by their bytes
    #[arg(long)]
    pub migrate: bool,
    /// Print the SQL instead of running it
    #[arg(long, conflicts_with = "migrate")]
    pub print: bool,
}

#[derive(Debug, Args)]
pub struct Import {
    /// CSV files, plain or gzip; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Name of the file in the ledger and the archive; for one file, or standard input
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Leave the work to the workers, and only wait for it
    #[arg(long)]
    pub announce: bool,
    /// Only read and clean the files, and say what would become of their rows; no service is asked
    #[arg(long, conflicts_with_all = ["announce", "name"])]
    pub dry_run: bool,
    /// No progress, only the result
    #[arg(short, long)]
    pub quiet: bool,
    // Last: its heading would stand over those that follow.
    #[command(flatten)]
    pub rows: RowFlags,
}

#[derive(Debug, Args)]
pub struct Status {
    /// An upload's id, or enough of its beginning
    pub upload: Option<String>,
    /// Wait for its end; the exit code tells the outcome
    #[arg(long, requires = "upload")]
    pub watch: bool,
    /// As JSON, as the HTTP API gives it; a line each change with --watch
    #[arg(long)]
    pub json: bool,
    /// Of the list, those in this state alone: open, ended, received, archiving, archived, loading, done, failed, cancelled
    #[arg(long, value_name = "STATE", conflicts_with = "upload")]
    pub state: Option<States>,
    /// Of the list, the newest so many
    #[arg(long, value_name = "N", default_value = "50", conflicts_with = "upload", value_parser = value_parser!(u32).range(1..))]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct Retry {
    /// An upload's id, or enough of its beginning
    pub upload: String,
    /// Clean and load from the start, under the rules of this version
    #[arg(long)]
    pub restart: bool,
    /// Although a newer upload in replace mode was loaded since
    #[arg(long)]
    pub over_newer: bool,
    #[command(flatten)]
    pub rows: RowFlags,
}

#[derive(Debug, Args)]
pub struct Again {
    /// An upload's id, or enough of its beginning
    pub upload: String,
    /// Although a newer upload in replace mode was loaded since
    #[arg(long)]
    pub over_newer: bool,
    #[command(flatten)]
    pub rows: RowFlags,
}

#[derive(Debug, Args)]
pub struct Cancel {
    /// An upload's id, or enough of its beginning
    pub upload: String,
}

#[derive(Debug, Args)]
pub struct Rejects {
    /// An upload's id, or enough of its beginning
    pub upload: String,
    /// Where to write
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct SparkPart {
    /// Whose rows they are
    #[arg(long)]
    pub upload: UploadId,
    /// Number of the fence of the claim that asked for them
    #[arg(long, value_name = "N")]
    pub fence: u64,
    /// Which row of an id wins
    #[arg(long)]
    pub existing: Existing,
}

#[derive(Debug, Args)]
pub struct Fetch {
    /// An upload's id, or enough of its beginning
    pub upload: String,
    /// Where to write; the file gets this name when it is whole and its hash is that of what was received; - is standard
    /// output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct ShowConfig {
    /// As JSON: an object a key, with value and origin
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
