//! One deployment whose workers are killed, one after the other, and beside it one where nothing happens: after each
//! upload both must hold the same.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mysql_async::prelude::Queryable;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::tally::{Kill, Runs, Stage, Tally, Way};
use crate::{
    generator::{Spec, Table, generate},
    hold::Hold,
    process::{DEADLINE, Role},
    world::{Server, World, counts},
};

/// Without small transactions and segments a file of these rows would have neither a middle nor run files.
const ROWS: u64 = 1_500;
/// Enough for a transfer in pieces, into a folder too.
const ROWS_LONG: u64 = 16_000;
/// With one death behind which nothing had moved before the last one, whose account comes with the next claim, a
/// third one in a row would use the attempts up.
const ATTEMPTS_MAX: u64 = 1;

pub struct Lane {
    world: World,
    server: Server,
    undisturbed: World,
    way: Way,
    table: Table,
    random: StdRng,
    tally: Arc<Mutex<Tally>>,
    /// Name of the work folder, and how many there were.
    folder: String,
    folders: u32,
    uploads: u64,
    first_seed: u64,
}

/// When a worker dies.
enum Moment {
    /// Held at a point, as its N-th visitor; killed there, or so long after it was let go.
    At(&'static str, u64, Option<Duration>),
    /// So long after its claim.
    After(Duration),
}

impl Lane {
    pub async fn open(mut world: World, way: Way, seed: u64, tally: Arc<Mutex<Tally>>) -> Self {
        // The ledger alone tells workers: a broker is not what is tried here.
        world.set("queue", "kind = \"kafka\"");
        world.set("queue.kafka", "brokers = \"127.0.0.1:9\"");
        world.set("worker", "lease_s = 2\nslots = 1");
        world.share_the_spool();
        world.run(&["db", "init"]).await.expect(0);
        if way != Way::Sqlite {
            let infile = world.connect().await.query_first("select @@local_infile").await.unwrap();
            assert_eq!(infile, Some(u8::from(way == Way::LoadData)), "{way:?}");
        }
        let server = world.serve().await;
        let (random, first_seed) = (StdRng::seed_from_u64(seed), seed % 1_000_000 * 1_000);
        let (undisturbed, folder) = (World::embedded(), "work-0".into());
        let table = Table::new();
        Self { world, server, undisturbed, way, table, random, tally, folder, folders: 0, uploads: 0, first_seed }
    }

    /// Uploads and kills until all lanes together have enough.
    pub async fn run(mut self) {
        while !self.tally.lock().unwrap().is_complete() {
            self.upload().await;
        }
        let worker = self.world.worker("last", &[]).await;
        let complete = tokio::time::timeout(DEADLINE, async {
            while self.world.archived().iter().filter(|(name, _)| name.ends_with(".receipt.json")).count() as u64
                != self.uploads
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        complete.await.unwrap_or_else(|_| panic!("receipts are missing:\n{}", worker.log()));
        let names: Vec<_> = self.world.archived().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len() as u64, 4 * self.uploads, "{names:#?}");
        assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:#?}");
    }

    /// One upload to its end, through any number of deaths.
    async fn upload(&mut self) {
        let (seed, replace) = (self.first_seed + self.uploads, self.random.random_bool(0.5));
        let shared = Some((seed.saturating_sub(1), 0.3)).filter(|_| self.uploads > 0);
        let rows =
            if self.random.random_bool(0.3) { ROWS_LONG / if self.way == Way::Sqlite { 1 } else { 3 } } else { ROWS };
        let file = generate(&Spec { rows, seed, shared, ..Spec::default() });
        let existing = if replace { "replace" } else { "keep" };
        let expected = if replace { file.replace(&mut self.table) } else { file.keep(&mut self.table) };
        self.uploads += 1;
        let id = self.server.put("users.csv", &file.bytes, &[("existing", existing)]).await;
        while !self.dies(&id, replace, rows).await {}
        assert_eq!(self.server.done(&id).await, expected, "{}", self.place(&id));
        assert!(self.world.table().await == self.table, "the table is not what the files hold; {}", self.place(&id));

        self.undisturbed.write("users.csv", &file.bytes);
        self.undisturbed.run(&["import", "users.csv", "-q", "--existing", existing]).await.expect(3);
        let status = self.undisturbed.run(&["status", "--json"]).await.expect(0).stdout();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(counts(&status["uploads"][0]), expected, "undisturbed");
        assert!(self.undisturbed.table().await == self.table, "the undisturbed table");
        let rejects = |world: &World, id: &str| {
            let mut files = world.archived().into_iter();
            files.find(|(name, _)| name.contains(id) && name.ends_with(".rejects.csv")).map(|(_, bytes)| bytes)
        };
        let alone = rejects(&self.undisturbed, status["uploads"][0]["id"].as_str().unwrap());
        assert!(rejects(&self.world, &id) == alone && alone.is_some(), "rejects differ; {}", self.place(&id));
        self.tally.lock().unwrap().uploads += 1;
    }

    fn place(&self, id: &str) -> String {
        format!("upload {id}, {:?}, number {} of its lane", self.way, self.uploads)
    }

    /// A worker takes the upload and is killed, or works to its end: then it is true.
    async fn dies(&mut self, id: &str, replace: bool, rows: u64) -> bool {
        let before = self.server.upload(id).await;
        let enough = self.tally.lock().unwrap().is_complete();
        if before["attempts"].as_u64().unwrap() >= ATTEMPTS_MAX || enough {
            let mut worker = Role::start("undisturbed", &mut self.world.worker_command(&self.folder, &[]));
            worker.logged("\"outcome\":\"Done\"").await;
            assert!(worker.terminate().await.success(), "{}", worker.log());
            return true;
        }
        let moment = self.moment(&before["state"], rows);
        let (hold, held) = match &moment {
            Moment::At(point, nth, after) => (Some(Hold::nth(&self.world, point, *nth)), after.is_none()),
            Moment::After(_) => (None, false),
        };
        let mut command = self.world.worker_command(&self.folder, &[]);
        let fault = hold.as_ref().map_or_else(|| "small-transactions".to_owned(), Hold::fault);
        let mut worker =
            Role::start("to be killed", command.env("USERDATA_FAULT", format!("{fault};small-segments;mark")));
        let signal = hold.as_ref().map_or_else(|| "at claimed".to_owned(), |hold| format!("held at {}", hold.point));
        let seen = worker.logged_any(&[&signal, "\"outcome\":\"Done\""]).await;
        if seen.contains("outcome") {
            self.tally.lock().unwrap().missed += 1;
            assert!(worker.terminate().await.success(), "{}", worker.log());
            return true;
        }
        match moment {
            Moment::At(_, _, Some(delay)) => {
                hold.expect("it was held").release();
                tokio::time::sleep(delay).await;
            }
            Moment::At(_, _, None) => {}
            Moment::After(delay) => tokio::time::sleep(delay).await,
        }
        let process = worker.id();
        worker.kill().await;
        let upload = self.server.upload(id).await;
        let hit = upload["owner"].as_str().is_some_and(|owner| owner.ends_with(&format!(":{process}")));
        let runs = *[Runs::Kept, Runs::Deleted, Runs::Elsewhere].choose(&mut self.random).expect("some");
        match (hit, stage(&worker.log(), &upload["state"])) {
            (true, Some(stage)) => {
                self.tally.lock().unwrap().add(Kill { stage, way: self.way, replace, runs, held });
            }
            _ => self.tally.lock().unwrap().missed += 1,
        }
        self.leave(runs);
        upload["state"] == "done"
    }

    /// What the next worker finds of this one's run files.
    fn leave(&mut self, runs: Runs) {
        match runs {
            Runs::Kept => {}
            Runs::Deleted => std::fs::remove_dir_all(self.world.path().join(&self.folder)).unwrap(),
            Runs::Elsewhere => {
                self.folders += 1;
                self.folder = format!("work-{}", self.folders);
            }
        }
    }

    /// In the stage that was hit the least of those that are still ahead.
    fn moment(&mut self, state: &serde_json::Value, rows: u64) -> Moment {
        let archived = state != "received" && state != "archiving";
        let stage = self.tally.lock().unwrap().rarest(&Stage::ALL[usize::from(archived)..]);
        let random = &mut self.random;
        if random.random_bool(0.2) {
            return Moment::After(Duration::from_millis(random.random_range(0..400)));
        }
        let (points, nth_max, longest_ms): (&[&str], u64, u64) = match stage {
            Stage::Archive if rows > ROWS => (&["claimed", "transfer", "renamed"], 1, 15),
            Stage::Archive => (&["claimed", "renamed"], 1, 15),
            Stage::Clean => (&["cleaning", "row"], rows / 2, 15),
            Stage::Split => (&["cleaned", "rejects"], 1, 10),
            Stage::Load => (&["split", "transaction", "loading"], 8, 60),
            Stage::Finish => (&["finish"], 1, 10),
        };
        let point = points.choose(random).expect("some");
        let nth =
            if matches!(*point, "row" | "transaction" | "loading") { random.random_range(1..=nth_max) } else { 1 };
        let delay = random.random_bool(0.4).then(|| Duration::from_millis(random.random_range(0..longest_ms)));
        Moment::At(point, nth, delay)
    }
}

/// What a worker was doing that has logged this: it had passed one point and not the next.
fn stage(log: &str, state: &serde_json::Value) -> Option<Stage> {
    let mark = log.lines().rev().find_map(|line| line.split_once("\"message\":\"at ").map(|(_, rest)| rest))?;
    match mark.split('"').next().expect("a part") {
        "claimed" | "transfer" | "renamed" if state == "received" || state == "archiving" => Some(Stage::Archive),
        "claimed" | "transfer" | "renamed" | "archived" | "cleaning" => Some(Stage::Clean),
        "cleaned" | "rejects" => Some(Stage::Split),
        "split" | "transaction" | "loading" => Some(Stage::Load),
        "finish" => Some(Stage::Finish),
        _ => None,
    }
}
