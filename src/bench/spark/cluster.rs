//! The Spark of `compose/services`: its start, where its executors find the program, and what it uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    measure::{self, run},
};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How the kernel names what Spark starts of ours (its first 15 bytes, proc(5)).
const TASK: &str = "userdata";
const EXECUTOR: &str = "CoarseGrainedExecutorBackend";

pub struct Cluster {
    pub remote: String,
    folder: PathBuf,
    /// The session that all its processes are in.
    session: u32,
    pub start_s: f64,
}

/// Largest amounts of memory while something ran, bytes.
#[derive(Debug, Default)]
pub struct Peaks {
    /// Of one process of ours on an executor.
    pub task: AtomicU64,
    /// Of one executor itself.
    pub executor: AtomicU64,
}

impl Cluster {
    /// Starts it in the folder of services; its executors then find this build of the program and a configuration that
    /// names the archive.
    pub fn start(services: &Path, archive: &str) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compose/services");
        // What is fetched once is no part of a start.
        run(Command::new(script).args(["install", "spark"]))?;
        let began = Instant::now();
        let mut start = Command::new(script);
        // Its executors hand their variables on to the program.
        measure::forget_settings(&mut start);
        start.args(["start", "spark"]).env("USERDATA_SERVICES", services);
        run(&mut start)?;
        let start_s = began.elapsed().as_secs_f64();
        let folder = services.join("spark");
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))
        };
        let remote = format!("sc://127.0.0.1:{}", text("port")?.trim());
        let session = text("pid")?.split_whitespace().next().unwrap_or_default().parse()?;
        fs::write(folder.join("executor/Config.toml"), archive)?;
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_userdata"), folder.join("executor").join(TASK))?;
        Ok(Self { remote, folder, session, start_s })
    }

    /// CPU seconds that its processes have used, and those that they have waited for.
    pub fn cpu_s(&self) -> f64 {
        // One that ends meanwhile is counted by its parent from then on.
        self.processes().into_iter().filter_map(|pid| measure::with_children_cpu_s(pid).ok()).sum()
    }

    /// Runs `work`, looking at the memory of executors and tasks meanwhile.
    pub fn watched<T>(&self, work: impl FnOnce() -> T) -> (T, Peaks) {
        let (peaks, ended) = (Peaks::default(), AtomicBool::new(false));
        let worked = thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    for pid in self.processes() {
                        let peak = match kind(pid) {
                            Some(Kind::Task) => &peaks.task,
                            Some(Kind::Executor) => &peaks.executor,
                            None => continue,
                        };
                        peak.fetch_max(measure::peak_bytes(pid).unwrap_or(0), Ordering::Relaxed);
                    }
                    thread::sleep(LOOK_EVERY);
                }
            });
            let worked = work();
            ended.store(true, Ordering::Relaxed);
            worked
        });
        (worked, peaks)
    }

    fn processes(&self) -> Vec<u32> {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| measure::session(*pid) == Some(self.session)).collect()
    }

    /// The end of its log, for who looks for the reason of a failure.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

enum Kind {
    Task,
    Executor,
}

/// What a process is; one that the shell is about to become is none of them yet.
fn kind(pid: u32) -> Option<Kind> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    if name.trim_end() == TASK {
        return Some(Kind::Task);
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line);
    (line.contains(EXECUTOR) && !line.contains("spark-submit")).then_some(Kind::Executor)
}
