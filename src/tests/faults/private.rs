//! A MySQL of one test alone, which may be killed, and started in its own way.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::world::Database;

pub struct Private {
    folder: TempDir,
    /// `local_infile` of the server.
    infile: &'static str,
}

impl Private {
    /// One that lets clients load files, or not: then rows go in by INSERT.
    pub fn new(infile: bool) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), infile: if infile { "ON" } else { "OFF" } }
    }

    pub async fn start(&self) -> Database {
        self.run("start").await;
        let port = std::fs::read_to_string(self.folder.path().join("mysql/port")).unwrap();
        Database::At(format!("127.0.0.1:{}", port.trim()).parse().unwrap())
    }

    /// SIGKILL.
    pub async fn kill(&self) {
        self.run("kill").await;
    }

    async fn run(&self, order: &str) {
        let output = Command::from(self.command(order)).output().await.unwrap();
        assert!(output.status.success(), "{order}: {output:?}");
    }

    fn command(&self, order: &str) -> std::process::Command {
        let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/compose/services"));
        command.args([order, "mysql"]).stdin(Stdio::null());
        command.env("USERDATA_SERVICES", self.folder.path()).env("USERDATA_MYSQL_LOCAL_INFILE", self.infile);
        command
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Its data go with the folder.
        let _ = self.command("kill").output();
    }
}
