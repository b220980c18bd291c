//! `userdata` as a user runs it: a folder with a `Config.toml`, `userdata db init`, `userdata import FILE`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    database::{DATABASE, PASSWORD, Server, USER},
    measure::{Stopwatch, Usage, ended, forget_settings, run, wait},
};

/// What it says of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub read: u64,
    pub inserted: u64,
    pub replaced: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub repeated_in_file: u64,
    pub already_present: u64,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    #[serde(flatten)]
    counts: Counts,
}

/// A folder of its own, removed with the value.
#[derive(Debug)]
pub struct Product {
    folder: PathBuf,
    settings: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// None: everything embedded.
    pub server: Option<&'a Server>,
    pub existing: &'a str,
    /// Files below it are loaded where they are.
    pub files: &'a Path,
    /// Variables that go over the file.
    pub more: &'a [(String, String)],
}

impl Product {
    pub fn new(folder: &Path, settings: &Settings) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let files = toml::Value::String(settings.files.display().to_string());
        let mut config = format!("[rows]\nexisting = \"{}\"\n\n[worker]\npaths = [{files}]\n", settings.existing);
        if let Some(server) = settings.server {
            config += &format!(
                "\n[store]\nkind = \"mysql\"\n\n[store.mysql]\nhost = \"{}\"\nport = {}\nuser = \"{USER}\"\n\
                 password = \"{PASSWORD}\"\ndatabase = \"{DATABASE}\"\n",
                server.host, server.port
            );
        }
        fs::write(folder.join("Config.toml"), config)?;
        Ok(Self { folder: folder.to_owned(), settings: settings.more.to_vec() })
    }

    /// The executable with nothing of this process's environment that it could take for configuration.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_userdata"));
        command.args(arguments).current_dir(&self.folder);
        forget_settings(&mut command);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Database, user table and ledger.
    pub fn init(&self) -> Result<()> {
        run(&mut self.command(&["db", "init"])).map(drop)
    }

    /// Imports a file to its end, process start included.
    pub fn import(&self, file: &Path, server: Option<u32>, with_rejects: bool) -> Result<Usage> {
        let said = self.folder.join("said");
        let log = fs::File::create(&said)?;
        let mut command = self.command(&["import"]);
        command.arg(file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let watch = Stopwatch::start(server)?;
        let (status, usage) = wait(&mut command.spawn()?, &self.folder.join("data/work"), watch)?;
        // 3 is "done with rejects".
        if !(with_rejects && status.code() == Some(3)) {
            ended(&command, status, &fs::read(&said)?)?;
        }
        Ok(usage)
    }

    /// What it says of the only upload there is.
    pub fn counts(&self) -> Result<Counts> {
        self.only().map(|upload| upload.counts)
    }

    /// The whole rejects CSV of the only upload there is.
    pub fn rejects(&self) -> Result<Vec<u8>> {
        Ok(run(&mut self.command(&["rejects", &self.only()?.id]))?.stdout)
    }

    fn only(&self) -> Result<Listed> {
        #[derive(Deserialize)]
        struct Page {
            uploads: Vec<Listed>,
        }
        let page: Page = serde_json::from_slice(&run(&mut self.command(&["status", "--json"]))?.stdout)?;
        let [only] = <[Listed; 1]>::try_from(page.uploads)
            .map_err(|uploads| format!("the ledger holds {} uploads instead of one", uploads.len()))?;
        Ok(only)
    }

    pub fn embedded_database(&self) -> PathBuf {
        self.folder.join("data/userdata.db")
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        // Whatever could not be removed goes with the folder of the run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
