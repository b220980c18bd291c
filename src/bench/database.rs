//! A database server of the run's own, as `compose/services` starts it: with its defaults.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    measure::{self, run},
    say,
};

/// What `compose/services` makes in every server (compose/service/accounts.sh).
pub const USER: &str = "userdata";
pub const PASSWORD: &str = "test-password";
pub const DATABASE: &str = "userdb";
pub const DEFAULT_POOL: u64 = 128 << 20;

const QUIET: Duration = Duration::from_millis(500);
/// CPU of a server that only waits, in that time.
const QUIET_CPU_S: f64 = 0.02;
const QUIET_LOOKS: u32 = 3;
const SETTLE_LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    MySql,
    MariaDb,
}

impl Engine {
    /// As `compose/services` calls it.
    fn service(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::MySql => "USERDATA_TEST_MYSQL",
            Self::MariaDb => "USERDATA_TEST_MARIADB",
        }
    }
}

#[derive(Debug)]
pub struct Server {
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    pub pid: u32,
    pub version: String,
    client: String,
}

impl Server {
    /// Starts it, if it does not run yet, in the folder of services.
    pub fn start(engine: Engine, services: &Path) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compose/services");
        let services_command = |verb: &[&str]| {
            let mut command = Command::new(script);
            command.args(verb).env("USERDATA_SERVICES", services);
            run(&mut command)
        };
        services_command(&["start", engine.service()])?;
        let lines = String::from_utf8(services_command(&["env"])?.stdout)?;
        let value = |name: &str| {
            let start = format!("export {name}=");
            let found = lines.lines().find_map(|line| line.strip_prefix(&start));
            found.ok_or_else(|| format!("`compose/services env` says nothing of {name}"))
        };
        let address = value(engine.variable())?;
        let (host, port) = address.split_once(':').ok_or_else(|| format!("{address} is no address"))?;
        let pid = std::fs::read_to_string(services.join(engine.service()).join("pid"))?;
        let pid = pid.split_whitespace().next().unwrap_or_default().parse()?;
        let client = value(&format!("{}_CLIENT", engine.variable()))?.to_owned();
        let mut server = Self { engine, host: host.into(), port: port.parse()?, pid, version: String::new(), client };
        server.version = server.ask("SELECT VERSION()")?;
        Ok(server)
    }

    /// The command line client. Not encrypted, as `userdata` is with its defaults.
    fn client(&self) -> Command {
        let mut command = Command::new(&self.client);
        match self.engine {
            // Without encryption MySQL takes a password only by the server's key.
            Engine::MySql => command.args(["--ssl-mode=DISABLED", "--get-server-public-key"]),
            Engine::MariaDb => command.args(["--no-defaults", "--protocol=tcp", "--skip-ssl"]),
        };
        command.args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
        command.arg(format!("--host={}", self.host)).arg(format!("--port={}", self.port));
        command
    }

    /// One statement as a person would run it who may use the user table, `LOAD DATA LOCAL` among them.
    pub fn as_user(&self, sql: &str) -> Command {
        let mut command = self.client();
        command.arg(format!("--user={USER}")).env("MYSQL_PWD", PASSWORD);
        command.args(["--local-infile=1", DATABASE, "--execute", sql]);
        command
    }

    /// Statements as administrator; what they answered.
    pub fn ask(&self, sql: &str) -> Result<String> {
        let output = run(self.client().args(["--user=root", "--execute", sql]))?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    pub fn number(&self, sql: &str) -> Result<u64> {
        let answer = self.ask(sql)?;
        answer.parse().map_err(|_| format!("{sql}: {answer:?} is no number").into())
    }

    /// A database without tables, and a binary log without the last one's rows.
    pub fn empty(&self) -> Result<()> {
        self.ask(&format!("DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}"))?;
        if self.engine == Engine::MySql {
            self.ask("RESET BINARY LOGS AND GTIDS")?;
        }
        Ok(())
    }

    pub fn allow_local_infile(&self, allowed: bool) -> Result<()> {
        self.ask(&format!("SET GLOBAL local_infile = {}", if allowed { "ON" } else { "OFF" })).map(drop)
    }

    /// Sets the buffer pool's size and waits for it: the server does it by and by.
    pub fn set_pool(&self, bytes: u64) -> Result<()> {
        if self.number("SELECT @@GLOBAL.innodb_buffer_pool_size")? == bytes {
            return Ok(());
        }
        self.ask(&format!("SET GLOBAL innodb_buffer_pool_size = {bytes}"))?;
        let began = Instant::now();
        loop {
            let status = self.ask("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_resize_status'")?;
            let done = status.to_lowercase().contains("complete") || status.split_whitespace().count() < 2;
            if done && self.number("SELECT @@GLOBAL.innodb_buffer_pool_size")? == bytes {
                return Ok(());
            }
            if began.elapsed() > SETTLE_LIMIT {
                return Err(format!("the buffer pool is not {bytes} bytes after {SETTLE_LIMIT:?}: {status}").into());
            }
            thread::sleep(QUIET);
        }
    }

    /// Waits until the server has written and purged what it put off: until it uses no CPU.
    pub fn settle(&self) -> Result<()> {
        rustix::fs::sync();
        let (began, mut quiet) = (Instant::now(), 0);
        let mut before = measure::cpu_s(self.pid)?;
        while quiet < QUIET_LOOKS {
            if began.elapsed() > SETTLE_LIMIT {
                say(format_args!("the server is still busy after {} s; going on", SETTLE_LIMIT.as_secs()));
                return Ok(());
            }
            thread::sleep(QUIET);
            let now = measure::cpu_s(self.pid)?;
            quiet = if now - before <= QUIET_CPU_S { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }
}
