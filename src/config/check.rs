//! From what was written to what is meant: derives what was left out, and refuses what could never work or
//! contradicts itself, before anything is started with it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::{
    Archive, ArchiveKind, Config, Ftp, FtpLayout, FtpTls, Kafka, Mysql, MysqlTls, Queue, QueueKind, SparkSource, Spool,
    Store, StoreKind, Worker, file,
    layers::{Origins, refused, wrong},
    secrets::Secrets,
    server, spark,
    text::{List, OptionTexts, Text},
};
use crate::{
    error::{Error, Result},
    rows::{OptionError, RowOptions},
};

/// The configuration that a file's values mean.
pub(super) fn effective(
    file: file::File,
    origins: &mut Origins,
    environment: &BTreeMap<String, String>,
) -> Result<Config> {
    let credentials = environment.get("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut secrets = Secrets { origins, credentials };
    let mysql = &file.store.mysql;
    let mysql_password =
        secrets.find("store.mysql.password", mysql.password.clone(), mysql.password_file.clone())?.unwrap_or_default();
    let ftp = &file.archive.ftp;
    let ftp_password =
        secrets.find("archive.ftp.password", ftp.password.clone(), ftp.password_file.clone())?.unwrap_or_default();
    let token = secrets.find("worker.token", file.worker.token.clone(), file.worker.token_file.clone())?;
    let server = &file.server;
    let admin = secrets.find("server.admin_token", server.admin_token.clone(), server.admin_token_file.clone())?;
    let spark_token = secrets.find("spark.token", file.spark.token.clone(), file.spark.token_file.clone())?;
    let properties = secrets.properties(&file.queue.kafka.properties)?;

    let check = Check(origins);
    let data = check.path("data", &file.data.map_or("data".into(), |Text(path)| path))?;
    let spool = spool(file.spool, &check, &data)?;
    let config = Config {
        server: server::server(file.server, admin, &check, &data)?,
        queue: queue(file.queue, properties, &check)?,
        archive: archive(file.archive, ftp_password, &check)?,
        store: store(file.store, mysql_password, &check)?,
        rows: rows(file.rows, &check)?,
        worker: worker(file.worker, token, &check, &data, &spool)?,
        spark: spark::spark(file.spark, spark_token, &check)?,
        spool,
        data,
    };
    check.folders(&config)?;
    let in_parts = config.archive.ftp.layout == FtpLayout::Parts && config.spark.remote.is_some();
    check.that(
        !in_parts || config.spark.source == SparkSource::Server,
        "archive.ftp.layout",
        "\"parts\" needs spark.source = \"server\": the executors bring the file into the archive",
    )?;
    Ok(config)
}

/// Refusals that name the key and where it was written.
pub(super) struct Check<'a>(&'a Origins);

impl Check<'_> {
    pub fn wrong(&self, key: &str, why: impl fmt::Display) -> Error {
        wrong(self.0, key, why)
    }

    pub fn that(&self, holds: bool, key: &str, why: impl fmt::Display) -> Result<()> {
        if holds { Ok(()) } else { Err(self.wrong(key, why)) }
    }

    pub fn between<T: PartialOrd + fmt::Display>(&self, key: &str, value: T, low: T, high: T) -> Result<T> {
        let holds = low <= value && value <= high;
        self.that(holds, key, format!("{value} is not possible, it must be from {low} to {high}"))?;
        Ok(value)
    }

    /// An absolute path, so that it means the same wherever it is read.
    pub fn path(&self, key: &str, path: &str) -> Result<PathBuf> {
        let absolute = std::path::absolute(path).map_err(|error| self.wrong(key, format!("\"{path}\": {error}")))?;
        // `absolute` leaves the dot of `./data`'s parents and trailing separators to the reader.
        Ok(absolute.components().collect())
    }

    /// A path that is there to be read.
    fn readable(&self, key: &str, path: Option<Text<String>>, used: bool) -> Result<Option<PathBuf>> {
        let Some(Text(path)) = path else { return Ok(None) };
        let path = self.path(key, &path)?;
        if used {
            std::fs::File::open(&path)
                .map_err(|error| self.wrong(key, format!("reading {}: {error}", path.display())))?;
        }
        Ok(Some(path))
    }

    /// `http://host:port` without a path's end, and without a name or password that would be shown to others.
    pub fn address(&self, key: &str, text: &str) -> Result<String> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let rest = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let Some(rest) = rest else {
            return Err(self.wrong(key, "it must be an address such as http://host:9000"));
        };
        let plain = !rest.contains(['@', '?', '#', ' ']);
        self.that(plain, key, "an address holds no password, query or blank: write http://host:9000")?;
        Ok(text.trim_end_matches('/').into())
    }

    pub fn sha256(&self, key: &str, text: &str) -> Result<String> {
        let hex = text.replace(':', "").to_lowercase();
        let holds = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.that(holds, key, "it must be a SHA-256, 64 hexadecimal digits, as sha256sum prints it")?;
        Ok(hex)
    }

    /// Folders that several kinds of files would share.
    fn folders(&self, config: &Config) -> Result<()> {
        let (archive, spool, work) = (config.archive_folder(), &config.spool.path, &config.worker.work);
        let clash = |key, path: &Path, other| {
            self.wrong(key, format!("{} is also the {other}: give each a folder of its own", path.display()))
        };
        if spool == work {
            return Err(clash("worker.work", work, "spool's folder"));
        }
        if config.archive.kind == ArchiveKind::Directory && (*spool == archive || *work == archive) {
            let key = if *spool == archive { "spool.path" } else { "worker.work" };
            return Err(clash(key, &archive, "archive's folder"));
        }
        Ok(())
    }
}

fn queue(file: file::Queue, properties: BTreeMap<String, SecretString>, check: &Check) -> Result<Queue> {
    let file::Kafka { brokers: List(brokers), topic, partitions, replication, group, .. } = file.kafka;
    if file.kind == QueueKind::Kafka && brokers.is_empty() {
        let why = "\"kafka\" needs queue.kafka.brokers, such as brokers = \"kafka1:9092,kafka2:9092\"";
        return Err(check.wrong("queue.kind", why));
    }
    let Text(topic) = topic;
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    // 249 bytes are Kafka's limit; the dead-letter topic adds `.dlq`.
    let named = (1..=245).contains(&topic.len()) && topic.chars().all(legal) && topic != "." && topic != "..";
    check.that(named, "queue.kafka.topic", "it must be 1 to 245 letters, digits, dots, underscores or hyphens")?;
    let partitions = check.between("queue.kafka.partitions", partitions.0, 1, 100_000)?;
    let copies = replication.0 == -1 || (1..=i32::from(i16::MAX)).contains(&replication.0);
    check.that(copies, "queue.kafka.replication", "it must be -1 (the broker's default) or a number from 1")?;
    check.that(!group.0.is_empty(), "queue.kafka.group", "it must not be empty")?;
    super::kafka::check(&properties).map_err(|(name, why)| {
        let key = format!("queue.kafka.properties.{name}");
        check.wrong(&key, why)
    })?;
    let brokers = brokers.join(",");
    Ok(Queue {
        kind: file.kind,
        kafka: Kafka { brokers, topic, partitions, replication: replication.0, group: group.0, properties },
    })
}

fn archive(file: file::Archive, password: SecretString, check: &Check) -> Result<Archive> {
    let Text(name) = file.name;
    crate::archive::name::check_template(&name).map_err(|why| check.wrong("archive.name", why))?;
    let ftp = file.ftp;
    let used = file.kind == ArchiveKind::Ftp;
    check.that(!used || !ftp.host.0.is_empty(), "archive.kind", "\"ftp\" needs archive.ftp.host")?;
    check.that(!ftp.user.0.is_empty(), "archive.ftp.user", "it must not be empty; anonymous is the default")?;
    for (key, text) in
        [("archive.ftp.host", &ftp.host.0), ("archive.ftp.user", &ftp.user.0), ("archive.ftp.path", &ftp.path.0)]
    {
        check.that(!text.contains(['\r', '\n', '\0']), key, "it must not hold a line end")?;
    }
    let pin = ftp.tls_pin_sha256.map(|Text(pin)| check.sha256("archive.ftp.tls_pin_sha256", &pin)).transpose()?;
    let tls_only =
        [("archive.ftp.tls_ca_file", ftp.tls_ca_file.is_some()), ("archive.ftp.tls_pin_sha256", pin.is_some())];
    for (key, set) in tls_only {
        check.that(!set || ftp.tls == FtpTls::Explicit, key, "it needs archive.ftp.tls = \"explicit\"")?;
    }
    let both = ftp.tls_ca_file.is_some() && pin.is_some();
    check.that(!both, "archive.ftp.tls_pin_sha256", "archive.ftp.tls_ca_file is set too: keep one of them")?;
    Ok(Archive {
        kind: file.kind,
        name,
        ftp: Ftp {
            host: ftp.host.0,
            port: check.between("archive.ftp.port", ftp.port.0, 1, u16::MAX)?,
            user: ftp.user.0,
            password,
            path: ftp.path.0,
            tls: ftp.tls,
            tls_ca_file: check.readable("archive.ftp.tls_ca_file", ftp.tls_ca_file, used)?,
            tls_pin_sha256: pin,
            layout: ftp.layout,
        },
    })
}

fn store(file: file::Store, password: SecretString, check: &Check) -> Result<Store> {
    let mysql = file.mysql;
    let used = file.kind == StoreKind::Mysql;
    let missing = [("host", &mysql.host.0), ("user", &mysql.user.0)].into_iter().find(|(_, value)| value.is_empty());
    if let (true, Some((name, _))) = (used, missing) {
        return Err(check.wrong("store.kind", format!("\"mysql\" needs store.mysql.{name}")));
    }
    for (key, name) in [("store.mysql.database", &mysql.database.0), ("store.mysql.table", &mysql.table.0)] {
        // The MySQL manual, "Identifier Length Limits" and "Schema Object Names".
        let fits = (1..=64).contains(&name.chars().count());
        let plain = !name.contains(['`', '.', '/', '\\', '\0']) && !name.ends_with(' ');
        check.that(fits && plain, key, "it must be 1 to 64 characters, without ` . / \\ and no blank at the end")?;
    }
    let ours = mysql.table.0.to_lowercase().starts_with("userdata_");
    check.that(!ours, "store.mysql.table", "names that begin with userdata_ are the ledger's: choose another")?;
    let encrypted = mysql.tls == MysqlTls::Required;
    let lonely = mysql.tls_ca_file.is_some() && !encrypted;
    check.that(!lonely, "store.mysql.tls_ca_file", "it needs store.mysql.tls = \"required\"")?;
    Ok(Store {
        kind: file.kind,
        mysql: Mysql {
            host: mysql.host.0,
            port: check.between("store.mysql.port", mysql.port.0, 1, u16::MAX)?,
            user: mysql.user.0,
            password,
            database: mysql.database.0,
            table: mysql.table.0,
            connections: check.between("store.mysql.connections", mysql.connections.0, 1, 64)?,
            tls: mysql.tls,
            tls_ca_file: check.readable("store.mysql.tls_ca_file", mysql.tls_ca_file, used)?,
        },
    })
}

fn rows(file: file::Rows, check: &Check) -> Result<RowOptions> {
    let mut rows = RowOptions::default();
    let scalars = [
        ("zone", file.zone),
        ("encoding", file.encoding),
        ("delimiter", file.delimiter),
        ("header", file.header),
        ("trim", file.trim),
        ("existing", file.existing),
        ("max_record_bytes", file.max_record_bytes),
        ("max_rejects", file.max_rejects),
        ("formats", file.formats.map(|List(formats)| OptionTexts(formats))),
    ];
    for (name, values) in scalars {
        if let Some(OptionTexts(values)) = values {
            assign(&mut rows, name, &values, check)?;
        }
    }
    match file.columns {
        None => {}
        Some(file::Columns::Text(text)) => assign(&mut rows, "columns", &[text], check)?,
        Some(file::Columns::Table(table)) => {
            let targets = [
                (&mut rows.columns.id, table.id),
                (&mut rows.columns.name, table.name),
                (&mut rows.columns.time_of_start, table.time_of_start),
            ];
            for (column, given) in targets {
                if let Some(text) = given.and_then(|OptionTexts(texts)| texts.into_iter().next()) {
                    check.that(!text.trim().is_empty(), "rows.columns", "a column needs a name or a position")?;
                    *column = text.trim().into();
                }
            }
        }
    }
    // What is left are contradictions between keys; the sentence names them.
    rows.check().map_err(|OptionError(why)| check.wrong("rows", why))?;
    Ok(rows)
}

fn assign(rows: &mut RowOptions, name: &str, values: &[String], check: &Check) -> Result<()> {
    let key = format!("rows.{name}");
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    rows.assign(name, &values).map_err(|OptionError(why)| check.wrong(&key, why))
}

fn worker(
    file: file::Worker,
    token: Option<SecretString>,
    check: &Check,
    data: &Path,
    spool: &Spool,
) -> Result<Worker> {
    let work = match file.work {
        Some(Text(path)) => check.path("worker.work", &path)?,
        None => data.join("work"),
    };
    let paths = match file.paths {
        Some(List(paths)) => paths.iter().map(|path| check.path("worker.paths", path)).collect::<Result<_>>()?,
        None => vec![spool.path.clone()],
    };
    let List(servers) = file.servers;
    let servers: Vec<String> =
        servers.iter().map(|server| check.address("worker.servers", server)).collect::<Result<_>>()?;
    let lonely = !servers.is_empty() && token.is_none();
    check.that(!lonely, "worker.servers", "fetching from a server needs worker.token (or worker.token_file)")?;
    // A lease must outlive a late heartbeat.
    let lease = check.between("worker.lease_s", file.lease_s.0, 2, 3600)?;
    let memory_bytes = file.memory_bytes.0.0;
    check.that(memory_bytes >= 16 << 20, "worker.memory_bytes", "it must be at least 16MiB")?;
    Ok(Worker {
        slots: check.between("worker.slots", file.slots.0, 1, 64)?,
        token,
        work,
        lease: std::time::Duration::from_secs(lease.into()),
        memory_bytes,
        paths,
        servers,
        tls_ca_file: check.readable("worker.tls_ca_file", file.tls_ca_file, false)?,
    })
}

fn spool(file: file::Spool, check: &Check, data: &Path) -> Result<Spool> {
    let path = match file.path {
        Some(Text(path)) => check.path("spool.path", &path)?,
        None => data.join("spool"),
    };
    let (Text(keep), Text(keep_failed), Text(free)) = (file.keep, file.keep_failed, file.free_bytes);
    if keep_failed.0 < keep.0 {
        return Err(refused(
            "spool.keep_failed is shorter than spool.keep: what failed needs a person, and is kept at least as long",
        ));
    }
    Ok(Spool { path, keep: keep.0, keep_failed: keep_failed.0, expire: file.expire.0.0, free_bytes: free.0 })
}
