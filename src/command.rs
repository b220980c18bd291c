//! One file a subcommand: wiring only. This one runs the command that was typed and says how it ended.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use tokio::runtime::Runtime;
use tracing::Level;

use crate::{
    cli::{Cli, Command, Db, Topic},
    config::{Layers, Loaded},
    error::{Error, Kind, Result},
    logging,
    pipeline::Pipeline,
    shutdown,
    upload::{State, Upload},
};

pub mod account;
pub mod again;
pub mod cancel;
pub mod config;
pub mod db;
pub mod dry_run;
pub mod fetch;
pub mod follow;
pub mod generate;
pub mod health;
pub mod import;
pub mod output;
pub mod progress;
pub mod rejects;
pub mod resolve;
pub mod retry;
pub mod save;
pub mod serve;
pub mod spark;
pub mod status;
pub mod table;
pub mod token;
pub mod topic;
pub mod worker;

/// How a command ended: its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    /// Usage or configuration.
    Usage,
    DoneWithRejects,
    NoSuchUpload,
    Later,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::DoneWithRejects => 3,
            Self::NoSuchUpload => 4,
            Self::Later => 5,
        }
    }

    /// Of several, the one that needs a person most.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let badness = |exit| match exit {
            Self::Done => 0,
            Self::DoneWithRejects => 1,
            Self::Later => 2,
            Self::NoSuchUpload => 3,
            Self::Failed => 4,
            Self::Usage => 5,
        };
        if badness(other) > badness(self) { other } else { self }
    }

    pub fn of_error(error: &Error) -> Self {
        match (error.code, error.kind) {
            ("output_closed", _) => Self::Done,
            ("usage" | "configuration", _) => Self::Usage,
            ("no_such_upload", _) => Self::NoSuchUpload,
            (_, Kind::Transient | Kind::Stopped) => Self::Later,
            (_, Kind::Rejected | Kind::Fatal | Kind::Lost) => Self::Failed,
        }
    }

    pub fn of_upload(upload: &Upload) -> Self {
        match upload.state {
            State::Done if upload.counts.rejected > 0 => Self::DoneWithRejects,
            State::Done => Self::Done,
            State::Failed | State::Cancelled => Self::Failed,
            _ => Self::Later,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Runs a command; an error is told once, here.
pub fn run(cli: Cli) -> Exit {
    let config = cli.config();
    match dispatch(config, cli.command) {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&error);
            Exit::of_error(&error)
        }
    }
}

fn dispatch(file: Option<PathBuf>, command: Command) -> Result<Exit> {
    match command {
        Command::Example => generate::example(),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { folder } => generate::man(&folder),
        Command::Token(args) => token::run(&Layers::of_process(file)?.load()?.config.server, &args),
        Command::Config(args) => config::run(&Layers::of_process(file)?.load()?, args.json),
        command => {
            let usual = if matches!(command, Command::Serve(_) | Command::Worker) { Level::INFO } else { Level::WARN };
            logging::init(usual)?;
            let runtime = Runtime::new().map_err(|error| Error::fatal("runtime", "starting").because(error))?;
            let exit = runtime.block_on(on_services(Layers::of_process(file)?, command));
            // A read of standard input cannot be called off: nothing here waits for it.
            runtime.shutdown_background();
            exit
        }
    }
}

/// The commands that need a service or the network.
async fn on_services(layers: Layers, command: Command) -> Result<Exit> {
    let layers = match &command {
        Command::Serve(args) => layers.flag("server.listen", "--listen", args.listen.as_ref()),
        Command::Topic(Topic::Create(args)) => layers
            .flag("queue.kafka.partitions", "--partitions", args.partitions)
            .flag("queue.kafka.replication", "--replication-factor", args.replication_factor),
        _ => layers,
    };
    let Loaded { config, file, .. } = layers.load()?;
    match &file {
        Some(file) => tracing::info!(file = %file.display(), "configuration read"),
        None => tracing::info!("no configuration file: built-in defaults"),
    }
    let config = Arc::new(config);
    match command {
        Command::Health => return health::run(&config).await,
        Command::Import(args) if args.dry_run => return dry_run::run(&config, &args).await,
        Command::Serve(args) => return serve::run(config, args.worker).await,
        Command::Worker => return worker::run(config).await,
        Command::SparkClean => return spark::clean(config).await,
        Command::SparkPart(args) => return spark::part(config, args).await,
        _ => {}
    }
    let pipeline = Pipeline::open(config.clone()).await?;
    let (store, archive) = (pipeline.store.as_ref(), pipeline.archive.as_ref());
    if !matches!(command, Command::Topic(_) | Command::Db(_)) {
        pipeline.check_ledger().await?;
    }
    match &command {
        Command::Topic(Topic::Create(_)) => topic::create(&config, pipeline.queue.as_ref()).await,
        Command::Db(Db::Init(args)) => db::init(store, args).await,
        Command::Import(args) => import::run(pipeline, args).await,
        Command::Status(args) => status::run(store, args, &shutdown::on_signals()?).await,
        Command::Retry(args) => retry::run(&pipeline, args).await,
        Command::Again(args) => again::run(pipeline, args).await,
        Command::Cancel(args) => cancel::run(store, &args.upload).await,
        Command::Fetch(args) => fetch::run(&pipeline, args).await,
        Command::Rejects(args) => rejects::run(store, archive, args).await,
        _ => unreachable!("the others need no service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_worst_counts() {
        let all = [Exit::Done, Exit::DoneWithRejects, Exit::Later, Exit::Failed];
        assert_eq!(all.into_iter().fold(Exit::Done, Exit::worst), Exit::Failed);
        assert_eq!(Exit::Done.worst(Exit::DoneWithRejects).worst(Exit::Done), Exit::DoneWithRejects);
    }

    #[test]
    fn an_error_has_the_exit_code_of_what_to_do_about_it() {
        let codes = [
            Error::unavailable(crate::error::Service::Store, "x"),
            Error::stopped("x"),
            Error::rejected("column_not_found", "x"),
            Error::rejected("no_such_upload", "x"),
            Error::fatal("configuration", "x"),
            Error::fatal("x", "x"),
        ]
        .map(|error| Exit::of_error(&error).code());
        assert_eq!(codes, [5, 5, 1, 4, 2, 1]);
    }
}
