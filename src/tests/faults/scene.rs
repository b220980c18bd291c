//! One file on its way, and what must have become of it: the generator's counts, the table, and an archive that holds
//! the original, what belongs to it, and nothing else.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    generator::{Counts, File, Spec, Table, generate},
    process::DEADLINE,
    world::{Database, Server, World, counts},
};

/// Bytes enough for a transfer of several pieces: on FTP, and into a folder.
pub const LONG: u64 = 6_000;
pub const LONGER: u64 = 20_000;

/// A deployment on real services with a shared spool, ready for a file; claims run out soon.
pub async fn on_services(database: Database) -> World {
    let mut world = World::on_services(database);
    world.set("worker", "lease_s = 2");
    world.share_the_spool();
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    world
}

pub fn embedded() -> World {
    let mut world = World::embedded();
    world.set("worker", "lease_s = 2");
    world
}

/// A file that was put in.
pub struct Scene {
    pub file: File,
    pub id: String,
    pub table: Table,
    pub counts: Counts,
}

impl Scene {
    pub async fn begin(server: &Server, rows: u64) -> Self {
        let file = generate(&Spec { rows, ..Spec::default() });
        let id = server.put("users.csv", &file.bytes, &[]).await;
        let mut table = Table::new();
        let counts = file.keep(&mut table);
        Self { file, id, table, counts }
    }

    /// Waits for the end; then everything is as if nothing had happened.
    pub async fn ends_well(&self, world: &World, server: &Server) {
        assert_eq!(server.done(&self.id).await, self.counts);
        assert!(world.table().await == self.table, "the table is not what the file holds");
        let archived = self.archived(world).await;
        let receipt: Value = serde_json::from_slice(&archived[3].1).unwrap();
        assert_eq!((counts(&receipt), &receipt["state"]), (self.counts, &"done".into()));
    }

    /// Waits for the receipt; gives original, info, rejects and receipt, which must be all there is.
    pub async fn archived(&self, world: &World) -> [(String, Vec<u8>); 4] {
        let complete = async {
            while !world.archived().iter().any(|(name, _)| name.ends_with("users.csv.receipt.json")) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, complete).await;
        let archived = world.archived();
        let names: Vec<_> = archived.iter().map(|(name, _)| name.rsplit('/').next().unwrap()).collect();
        let wanted = ["users.csv", "users.csv.info.json", "users.csv.receipt.json", "users.csv.rejects.csv"];
        assert!(waited.is_ok() && names == wanted, "in the archive is {names:?}");
        let [original, info, receipt, rejects] = archived.try_into().unwrap();
        assert!(original.1 == self.file.bytes, "the original in the archive differs from what was sent");
        assert!(
            rejects.1 == undisturbed_rejects(self.file.rows).await,
            "the rejects differ from an undisturbed load's"
        );
        [original, info, rejects, receipt]
    }

    /// What the file's history says.
    pub async fn history(&self, server: &Server) -> Vec<String> {
        let answer = server.http.get(format!("{}/uploads/{}/events", server.url, self.id)).send().await.unwrap();
        let events: Value = answer.json().await.unwrap();
        let events = events["events"].as_array().unwrap();
        events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }
}

/// The rejects of the same file, loaded by `import` with nothing in the way.
async fn undisturbed_rejects(rows: u64) -> Vec<u8> {
    static SHORT: OnceCell<Vec<u8>> = OnceCell::const_new();
    static LONG_: OnceCell<Vec<u8>> = OnceCell::const_new();
    static LONGER_: OnceCell<Vec<u8>> = OnceCell::const_new();
    let cell = match rows {
        LONGER => &LONGER_,
        LONG => &LONG_,
        _ => &SHORT,
    };
    let load = async || {
        let (world, file) = (World::embedded(), generate(&Spec { rows, ..Spec::default() }));
        world.write("users.csv", &file.bytes);
        world.run(&["import", "users.csv"]).await.expect(3);
        let rejects = world.archived().into_iter().find(|(name, _)| name.ends_with(".rejects.csv"));
        rejects.unwrap().1
    };
    cell.get_or_init(load).await.clone()
}
