//! The Spark that `compose/services` runs. All tests share it; those that kill parts of it have it alone. What its executors
//! start is a script of the test's own, around the executable.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    process::DEADLINE,
    scene::on_services,
    world::{Database, World, service},
};

static TURN: RwLock<()> = RwLock::const_new(());

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Cluster {
    folder: PathBuf,
    _turn: Turn,
}

enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Cluster {
    /// With jobs of other tests beside this one's.
    pub async fn shared() -> Self {
        Self::complete(Turn::Shared(TURN.read().await)).await
    }

    /// For a test that kills parts of it.
    pub async fn alone() -> Self {
        Self::complete(Turn::Alone(TURN.write().await)).await
    }

    async fn complete(turn: Turn) -> Self {
        let cluster = Self { folder: service("USERDATA_TEST_SPARK_FOLDER").into(), _turn: turn };
        until("two executors", || cluster.executors().len() == 2).await;
        cluster
    }

    /// A deployment that gives every upload to Spark, in chunks and parts small enough that each executor has several.
    pub async fn world(&self) -> World {
        let mut world = on_services(Database::MySql).await;
        let command = world.path().canonicalize().unwrap().join("on-executor");
        let remote = service("USERDATA_TEST_SPARK");
        let lines = format!(
            "remote = \"{remote}\"\nmin_bytes = 1\nchunk_bytes = \"64KiB\"\nparts = 4\ncommand = \"{}\"",
            command.display()
        );
        world.set("spark", &lines);
        on_executors(&world, "exec $userdata \"$@\"");
        world
    }

    fn pid(&self, file: &str) -> Option<u32> {
        let text = std::fs::read_to_string(self.folder.join(file)).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// The processes of its executors.
    pub fn executors(&self) -> Vec<u32> {
        let session = self.pid("pid").expect("Spark runs");
        let all =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.filter(|pid| session_of(*pid) == Some(session) && is_executor(*pid)).collect()
    }

    /// SIGKILL to the Connect server, which is started again by itself.
    pub async fn kill_connect(&self) {
        let pid = self.pid("connect.pid").unwrap();
        kill(pid);
        until("another Connect server", || self.pid("connect.pid").is_some_and(|new| new != pid)).await;
    }
}

/// What the executors of this world's jobs run from now on: lines of bash in which `$userdata` is the executable and
/// `$1` what Spark wants of it, `spark-clean` or `spark-part`.
pub fn on_executors(world: &World, lines: &str) {
    let (config, exe) = (world.configuration(&[]), env!("CARGO_BIN_EXE_userdata"));
    let folder = world.path().canonicalize().unwrap();
    let work = folder.join("on-executors");
    let head = format!(
        "#!/bin/bash\nset -o pipefail\ncd {}\nexport USERDATA_CONFIG={} USERDATA_WORKER__WORK={}\nuserdata={exe}",
        folder.display(),
        config.display(),
        work.display()
    );
    // Under its name only when it is whole: an executor may be about to start it.
    let new = world.write("on-executor.new", format!("{head}\n{lines}\n"));
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(new, world.path().join("on-executor")).unwrap();
}

/// Executors of a job wait in a task until the test lets them go.
pub struct HeldTask {
    came: PathBuf,
    hold: PathBuf,
}

impl HeldTask {
    /// In each `spark-clean` or `spark-part`, before it does anything.
    pub fn in_each(world: &World, task: &str) -> Self {
        let folder = world.path().canonicalize().unwrap();
        let held = Self { came: folder.join(format!("came-{task}")), hold: folder.join(format!("hold-{task}")) };
        std::fs::write(&held.hold, "").unwrap();
        let (came, hold) = (held.came.display(), held.hold.display());
        on_executors(
            world,
            &format!(
                "if [[ $1 == {task} ]]; then\n\
                 echo $PPID >>{came}\n\
                 while [[ -e {hold} ]]; do sleep 0.02; done\n\
                 fi\n\
                 exec $userdata \"$@\""
            ),
        );
        held
    }

    /// Waits until one has come there; gives the executor's process.
    pub async fn reached(&self) -> u32 {
        let executor = || std::fs::read_to_string(&self.came).ok()?.lines().next()?.parse().ok();
        until("a task of Spark", || executor().is_some()).await;
        executor().unwrap()
    }

    pub fn release(&self) {
        std::fs::remove_file(&self.hold).unwrap();
    }
}

/// SIGKILL; the process is no child of ours.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Waits for a condition that nothing announces.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !condition() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} within {DEADLINE:?}");
}

/// Waits until nothing that tasks have left lies in the archive.
pub async fn swept(world: &World) {
    let folder = world.archive().join("parts");
    let left = || -> Vec<_> { std::fs::read_dir(&folder).into_iter().flatten().flatten().collect() };
    until("an archive without parts", || left().is_empty()).await;
}

fn session_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name in brackets: state, parent, group, session (proc(5)).
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

fn is_executor(pid: u32) -> bool {
    let line = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains("CoarseGrainedExecutorBackend")
}
