//! Holding a process at a named place (src/faults.rs) until the test lets it go.

use std::path::PathBuf;

use tokio::process::Command;

use crate::{
    process::Role,
    world::{Server, World},
};

/// A place where a process waits.
pub struct Hold {
    pub point: &'static str,
    /// Whoever comes there, or only the one who comes as this one.
    nth: Option<u64>,
    file: PathBuf,
}

impl Hold {
    pub fn at(world: &World, point: &'static str) -> Self {
        let file = world.write(&format!("hold-{point}-{}", uuid::Uuid::new_v4().simple()), "");
        Self { point, nth: None, file }
    }

    /// For whoever comes there as the `nth`, counted from 1.
    pub fn nth(world: &World, point: &'static str, nth: u64) -> Self {
        Self { nth: Some(nth), ..Self::at(world, point) }
    }

    pub fn release(&self) {
        std::fs::remove_file(&self.file).unwrap();
    }

    /// Whoever comes there from now on is held again.
    pub fn again(&self) {
        std::fs::write(&self.file, "").unwrap();
    }

    /// The value of `USERDATA_FAULT`.
    pub fn fault(&self) -> String {
        // Small transactions, so that there is a middle of a range to be held in.
        let nth = self.nth.map(|nth| format!("*{nth}")).unwrap_or_default();
        format!("hold:{}{nth}:{};small-transactions", self.point, self.file.display())
    }

    fn on(&self, command: &mut Command) {
        command.env("USERDATA_FAULT", self.fault());
    }

    /// Starts a worker that will wait there.
    pub fn worker(&self, world: &World, name: &str, own: &[(&str, &str)]) -> Role {
        let mut command = world.worker_command(name, own);
        self.on(&mut command);
        Role::start(name, &mut command)
    }

    /// Starts a server that will wait there.
    pub async fn serve(&self, world: &World) -> Server {
        let mut command = world.command(&["serve"]);
        self.on(&mut command);
        Server::of(Role::start("serve", &mut command)).await
    }

    /// Waits until the process is there.
    pub async fn reached(&self, role: &mut Role) {
        role.logged(&format!("held at {}", self.point)).await;
    }
}
