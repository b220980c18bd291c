//! A Kafka of one test's own, which it may stop, kill and start again: its clients go to the address that the broker
//! gives them, past any router in between.

use std::{path::Path, process::Command};

use tempfile::TempDir;

pub struct Broker {
    folder: TempDir,
    /// `host:port`; the same after each start.
    pub address: String,
}

impl Broker {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        services(folder.path(), "start").await;
        let env = services(folder.path(), "env").await;
        let line = env.lines().find_map(|line| line.strip_prefix("export USERDATA_TEST_KAFKA="));
        let address = line.unwrap_or_else(|| panic!("no Kafka in {env}")).to_owned();
        Self { folder, address }
    }

    pub async fn kill(&self) {
        services(self.folder.path(), "kill").await;
    }

    pub async fn start_again(&self) {
        services(self.folder.path(), "start").await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = command(self.folder.path(), "kill").status();
    }
}

fn command(folder: &Path, verb: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/compose/services"));
    command.arg(verb).env("USERDATA_SERVICES", folder);
    if verb != "env" {
        command.arg("kafka");
    }
    command
}

async fn services(folder: &Path, verb: &str) -> String {
    let output = tokio::process::Command::from(command(folder, verb)).output().await.unwrap();
    assert!(output.status.success(), "compose/services {verb}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
