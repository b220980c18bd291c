//! The built executable as users and operators run it: processes with their logs, signals, and ends that are awaited.

use std::{
    path::Path,
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::Notify,
    task::JoinHandle,
};

/// Longer than anything here should take; a test that waits for it has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The executable, with nothing of this process's environment that it could take for configuration.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_userdata"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("USERDATA_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub async fn run(command: &mut Command) -> Finished {
    let ended = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{command:?} did not end within {DEADLINE:?}")).unwrap();
    Finished { what: format!("{command:?}"), output }
}

pub struct Finished {
    what: String,
    output: Output,
}

impl Finished {
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Fails, telling everything, when the exit code is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}\nstdout:\n{}\nstderr:\n{}", self.what, self.stdout(), self.stderr());
        self
    }
}

/// A role that runs until it is stopped; its log is kept line by line.
pub struct Role {
    name: String,
    child: Child,
    log: Arc<Log>,
    /// Reads the log to its end.
    following: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Role {
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let following = Some(tokio::spawn(follow(child.stderr.take().unwrap(), log.clone())));
        Self { name: name.to_owned(), child, log, following }
    }

    /// The process's id, while it runs.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Lines logged so far.
    pub fn lines(&self) -> usize {
        self.log.lines.lock().unwrap().len()
    }

    /// Waits for a line that holds `text`, and gives it.
    pub async fn logged(&mut self, text: &str) -> String {
        self.logged_after(0, text).await
    }

    /// As `logged`, of the lines after the first `seen`.
    pub async fn logged_after(&mut self, seen: usize, text: &str) -> String {
        self.logged_one_of(seen, &[text]).await
    }

    /// As `logged`, of the first line that holds one of these.
    pub async fn logged_any(&mut self, texts: &[&str]) -> String {
        self.logged_one_of(0, texts).await
    }

    async fn logged_one_of(&mut self, seen: usize, texts: &[&str]) -> String {
        let wanted = |line: &&String| texts.iter().any(|text| line.contains(text));
        let found = async {
            loop {
                let more = self.log.more.notified();
                if let Some(line) = self.log.lines.lock().unwrap().iter().skip(seen).find(wanted) {
                    return line.clone();
                }
                more.await;
            }
        };
        tokio::select! {
            line = tokio::time::timeout(DEADLINE, found) => match line {
                Ok(line) => line,
                Err(_) => panic!("{} did not log {texts:?}:\n{}", self.name, self.log()),
            },
            status = self.child.wait() => panic!("{} ended ({status:?}) before logging {texts:?}:\n{}", self.name, self.log()),
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it runs")).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).unwrap();
    }

    /// SIGKILL, and the end of it; the log is whole then.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
        if let Some(following) = self.following.take() {
            following.await.unwrap();
        }
    }

    /// SIGTERM; gives the exit status.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("{} did not end:\n{}", self.name, self.log())).unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

async fn follow(stderr: impl AsyncRead + Unpin, log: Arc<Log>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.lines.lock().unwrap().push(line);
        log.more.notify_waiters();
    }
}
