//! The servers that files are sent to, each on a folder of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    measure::{forget_settings, run},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PUT.
    Userdata,
    /// The protocol tus, creation with upload.
    UserdataTus,
    Nginx,
    Tusd,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Userdata => "userdata, PUT",
            Self::UserdataTus => "userdata, tus",
            Self::Nginx => "nginx, PUT",
            Self::Tusd => "tusd, tus",
        }
    }

    pub fn speaks_tus(self) -> bool {
        matches!(self, Self::UserdataTus | Self::Tusd)
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::Userdata | Self::UserdataTus)
    }
}

/// What a server calls itself.
pub fn version(kind: Kind) -> Result<String> {
    let output = match kind {
        Kind::Nginx => run(Command::new("nginx").arg("-v"))?.stderr,
        Kind::Tusd => run(Command::new(tusd()?).arg("-version"))?.stdout,
        Kind::Userdata | Kind::UserdataTus => env!("CARGO_PKG_VERSION").into(),
    };
    let text = String::from_utf8_lossy(&output);
    let line = text.lines().next().unwrap_or_default();
    Ok(line.trim_start_matches("nginx version: ").replace("Version: ", "tusd "))
}

fn tusd() -> Result<PathBuf> {
    Ok(std::env::var_os("USERDATA_BENCH_TUSD").ok_or("USERDATA_BENCH_TUSD is not set: run compose/bench")?.into())
}

pub struct Running {
    pub kind: Kind,
    child: Child,
    port: u16,
    /// Where the bytes come to lie.
    files: PathBuf,
}

/// The files that a server has made of what it got.
pub struct Kept {
    pub paths: Vec<PathBuf>,
    /// Whether they were on disk when it answered.
    pub durable: bool,
}

const START_LIMIT: Duration = Duration::from_secs(30);

impl Running {
    pub fn start(kind: Kind, folder: &Path) -> Result<Self> {
        let files = if kind.is_ours() { folder.join("data/spool") } else { folder.join("files") };
        fs::create_dir_all(&files)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = match kind {
            Kind::Userdata | Kind::UserdataTus => userdata(folder, port)?,
            Kind::Nginx => nginx(folder, &files, port)?,
            Kind::Tusd => {
                let mut command = Command::new(tusd()?);
                command.args(["-host", "127.0.0.1", "-port", &port.to_string(), "-behind-proxy=false", "-upload-dir"]);
                command.arg(&files);
                command
            }
        };
        let log = fs::File::create(folder.join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.map_err(|error| format!("{command:?}: {error}"))?;
        let mut running = Self { kind, child, port, files };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if running.child.try_wait()?.is_some() || began.elapsed() > START_LIMIT {
                let log = BufReader::new(fs::File::open(folder.join("log"))?);
                let last = log.lines().map_while(std::result::Result::ok).last().unwrap_or_default();
                return Err(format!("{} does not start: {last}", kind.name()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    pub fn url(&self, number: u64) -> String {
        let port = self.port;
        match self.kind {
            Kind::Userdata => format!("http://127.0.0.1:{port}/uploads/{number}.csv"),
            Kind::Nginx => format!("http://127.0.0.1:{port}/{number}.csv"),
            Kind::UserdataTus | Kind::Tusd => format!("http://127.0.0.1:{port}/files"),
        }
    }

    pub fn files(&self) -> Result<Kept> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.files)? {
            let path = entry?.path();
            if !self.kind.is_ours() || path.extension().is_some_and(|kind| kind == "data") {
                paths.push(path);
            }
        }
        Ok(Kept { paths, durable: self.kind.is_ours() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Receives and does no more: its queue cannot be reached, so no worker takes part.
fn userdata(folder: &Path, port: u16) -> Result<Command> {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n\n[queue]\nkind = \"kafka\"\n\n[queue.kafka]\nbrokers = \
         \"127.0.0.1:9\"\n"
    );
    fs::write(folder.join("Config.toml"), config)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_userdata"));
    command.arg("serve").current_dir(folder);
    forget_settings(&mut command);
    Ok(command)
}

fn nginx(folder: &Path, files: &Path, port: u16) -> Result<Command> {
    let (folder_name, files) = (folder.display(), files.display());
    let config = format!(
        "daemon off; master_process off; user root; pid {folder_name}/pid; error_log stderr;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_max_body_size 0; client_body_temp_path {folder_name}/temp;\n\
           server {{ listen 127.0.0.1:{port}; root {files}; location / {{ dav_methods PUT; }} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(file);
    Ok(command)
}
