//! One deployment for one test: a folder, a configuration, a database, a topic and an archive folder of its own on the
//! real services, and what a user or operator does with it.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use mysql_async::prelude::Queryable;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    generator::{Counts, Table},
    process::{self, DEADLINE, Finished, Role},
    way::{BLOCK, Way},
};

/// What `compose/services env` says of a service.
pub fn service(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `compose/services run -- cargo test` or see its `env`"))
}

/// A port that nobody uses.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    MySql,
    MariaDb,
    /// A MySQL of the test's own.
    At(std::net::SocketAddr),
}

impl Database {
    pub fn address(self) -> String {
        match self {
            Self::MySql => service("USERDATA_TEST_MYSQL"),
            Self::MariaDb => service("USERDATA_TEST_MARIADB"),
            Self::At(address) => address.to_string(),
        }
    }
}

pub struct World {
    pub folder: TempDir,
    /// Database, topic, group and archive folder carry it.
    pub name: String,
    database: Option<Database>,
    /// `[section]` → lines; becomes Config.toml.
    settings: Vec<(String, String)>,
}

impl World {
    /// No configuration at all but a free port: everything embedded.
    pub fn embedded() -> Self {
        let settings = vec![("server".into(), "listen = \"127.0.0.1:0\"".into())];
        Self { folder: tempfile::tempdir().unwrap(), name: unique(), database: None, settings }
    }

    /// Kafka, FTP and a database; nothing is created yet.
    pub fn on_services(database: Database) -> Self {
        let name = unique();
        let (kafka, ftp, store) = (service("USERDATA_TEST_KAFKA"), service("USERDATA_TEST_FTP"), database.address());
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            name: name.clone(),
            database: Some(database),
            settings: vec![],
        };
        world.set("server", "listen = \"127.0.0.1:0\"");
        world.set("queue", "kind = \"kafka\"");
        world.set("queue.kafka", &format!("brokers = \"{kafka}\"\ntopic = \"{name}\"\ngroup = \"{name}\""));
        world.set("archive", "kind = \"ftp\"");
        let (host, port) = ftp.split_once(':').unwrap();
        let login = "user = \"userdata\"\npassword = \"test-password\"";
        world.set("archive.ftp", &format!("host = \"{host}\"\nport = {port}\n{login}\npath = \"{name}\""));
        world.set("store", "kind = \"mysql\"");
        let (host, port) = store.split_once(':').unwrap();
        world.set("store.mysql", &format!("host = \"{host}\"\nport = {port}\n{login}\ndatabase = \"{name}\""));
        world
    }

    /// As `on_services`, with topic and tables made by the commands for it.
    pub async fn set_up(database: Database) -> Self {
        let world = Self::on_services(database);
        world.run(&["topic", "create"]).await.expect(0);
        world.run(&["db", "init"]).await.expect(0);
        world
    }

    /// Adds lines to a section; a key given again replaces the earlier line.
    pub fn set(&mut self, section: &str, lines: &str) {
        for line in lines.lines() {
            let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
            self.settings.retain(|(other, old)| other != section || key(old) != key(line));
            self.settings.push((section.into(), line.into()));
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A command of the executable on this world's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(arguments, &[])
    }

    /// As `command`, with settings of this process alone: `("worker", "slots = 2")`.
    pub fn command_with(&self, arguments: &[&str], own: &[(&str, &str)]) -> Command {
        let mut command = process::command(self.path(), arguments);
        command.arg("--config").arg(self.configuration(own));
        command
    }

    /// Writes this world's configuration into a file of its own, with more settings.
    pub fn configuration(&self, own: &[(&str, &str)]) -> PathBuf {
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        let own = own.iter().map(|(section, line)| ((*section).to_owned(), (*line).to_owned()));
        for (section, line) in self.settings.iter().cloned().chain(own) {
            let at = sections.iter().position(|(name, _)| *name == section).unwrap_or_else(|| {
                sections.push((section.clone(), Vec::new()));
                sections.len() - 1
            });
            let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
            sections[at].1.retain(|old| key(old) != key(&line));
            sections[at].1.push(line);
        }
        let mut text = String::new();
        for (section, lines) in sections {
            if section.is_empty() {
                text.insert_str(0, &(lines.join("\n") + "\n"));
            } else {
                writeln!(text, "[{section}]\n{}", lines.join("\n")).unwrap();
            }
        }
        let file = self.path().join(format!("config-{}.toml", unique()));
        std::fs::write(&file, text).unwrap();
        file
    }

    pub async fn run(&self, arguments: &[&str]) -> Finished {
        process::run(&mut self.command(arguments)).await
    }

    pub async fn serve(&self) -> Server {
        self.serve_with(&[], &[]).await
    }

    pub async fn serve_with(&self, arguments: &[&str], own: &[(&str, &str)]) -> Server {
        let arguments: Vec<_> = ["serve"].iter().chain(arguments).copied().collect();
        Server::of(Role::start("serve", &mut self.command_with(&arguments, own))).await
    }

    /// A worker with a work folder of its own.
    pub async fn worker(&self, name: &str, own: &[(&str, &str)]) -> Role {
        let mut worker = Role::start(name, &mut self.worker_command(name, own));
        worker.logged("working").await;
        worker
    }

    /// What `worker` starts.
    pub fn worker_command(&self, name: &str, own: &[(&str, &str)]) -> Command {
        let work = format!("work = \"{}\"", self.path().join(name).display());
        let own: Vec<_> = own.iter().copied().chain([("worker", work.as_str())]).collect();
        self.command_with(&["worker"], &own)
    }

    /// Lets workers read the server's spool, as on one machine or over a shared mount.
    pub fn share_the_spool(&mut self) {
        let spool = self.path().canonicalize().unwrap().join("data/spool");
        self.set("worker", &format!("paths = [\"{}\"]", spool.display()));
    }

    /// The archive is reached over a way that is still closed.
    pub fn way_to_archive(&mut self) -> Way {
        let way = Way::to(&service("USERDATA_TEST_FTP"), BLOCK);
        self.set("archive.ftp", &format!("host = \"{}\"", way.host()));
        way
    }

    /// The database is reached over a way that is still closed.
    pub fn way_to_database(&mut self) -> Way {
        let way = Way::to(&self.database.expect("a server").address(), 1);
        self.set("store.mysql", &format!("host = \"{}\"", way.host()));
        way
    }

    /// The user table.
    pub async fn table(&self) -> Table {
        match self.database {
            None => embedded_table(&self.path().join("data/userdata.db")),
            Some(_) => {
                let mut connection = self.connect().await;
                let rows: Vec<(String, String, String)> =
                    connection.query("select id, name, time_of_start from userinfo").await.unwrap();
                connection.disconnect().await.unwrap();
                rows.into_iter().map(|(id, name, time)| (id, (name, time))).collect()
            }
        }
    }

    /// A connection of the database's administrator, in this world's database.
    pub async fn connect(&self) -> mysql_async::Conn {
        let address = self.database.expect("a server").address();
        let url = format!("mysql://root@{address}/{}", self.name);
        mysql_async::Conn::new(mysql_async::Opts::from_url(&url).unwrap()).await.unwrap()
    }

    /// The folder of the archive, on disk.
    pub fn archive(&self) -> PathBuf {
        match self.database {
            None => self.path().join("data/archive"),
            Some(_) => PathBuf::from(service("USERDATA_TEST_FTP_ROOT")).join(&self.name),
        }
    }

    /// Names and bytes of all archived files; one that gets its final name meanwhile may be in it or not.
    pub fn archived(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.archive(), &mut |path| match std::fs::read(path) {
            Ok(bytes) => files.push((path.strip_prefix(self.archive()).unwrap().display().to_string(), bytes)),
            Err(gone) => assert!(gone.kind() == std::io::ErrorKind::NotFound, "{}: {gone}", path.display()),
        });
        files.sort();
        files
    }
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

fn embedded_table(path: &Path) -> Table {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("select id, name, time_of_start from userinfo").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A name that no other test has, fit for a database, a topic and a folder.
fn unique() -> String {
    format!("userdata_{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// A running server and its address.
pub struct Server {
    pub role: Role,
    pub url: String,
    pub http: reqwest::Client,
}

impl Server {
    /// Of a `serve` that was just started.
    pub async fn of(mut role: Role) -> Self {
        // The first provider wins; a later one is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let line = role.logged("userdata is at http").await;
        let at = line.find("http").unwrap();
        let url = line[at..].split([' ', ';', '"', '\\']).next().unwrap().trim_end_matches('/').to_owned();
        Self { role, url, http: reqwest::Client::new() }
    }

    /// Shows a token with every request from now on.
    pub fn with_token(mut self, token: &str) -> Self {
        let value = reqwest::header::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = [(reqwest::header::AUTHORIZATION, value)].into_iter().collect();
        self.http = reqwest::Client::builder().default_headers(headers).build().unwrap();
        self
    }

    /// Puts a file as `curl -T` does; gives its id.
    pub async fn put(&self, name: &str, bytes: &[u8], query: &[(&str, &str)]) -> String {
        let answer = self.try_put(name, bytes, query).await;
        let (status, body) = answer;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn try_put(&self, name: &str, bytes: &[u8], query: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/uploads/{name}", self.url);
        let answer = self.http.put(url).query(query).body(bytes.to_vec()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    pub async fn upload(&self, id: &str) -> Value {
        let answer = self.http.get(format!("{}/uploads/{id}", self.url)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// The first page of all uploads.
    pub async fn list(&self) -> Value {
        self.http.get(format!("{}/uploads", self.url)).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until an upload says what `wanted` asks for.
    pub async fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = async {
            loop {
                last = self.upload(id).await;
                if wanted(&last) {
                    return last.clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(DEADLINE, found).await {
            Ok(upload) => upload,
            Err(_) => panic!("upload {id} is not {what}: {last:#}\n{}", self.role.log()),
        }
    }

    pub async fn until_state(&self, id: &str, state: &str) -> Value {
        self.until(id, state, |upload| upload["state"] == state).await
    }

    /// Waits for an upload to be done; gives its counts.
    pub async fn done(&self, id: &str) -> Counts {
        counts(&self.until_state(id, "done").await)
    }
}

pub fn counts(upload: &Value) -> Counts {
    serde_json::from_value(upload.clone()).unwrap()
}
