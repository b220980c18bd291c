//! The effective configuration as a list of keys and values, in the order of `Config.toml`, secrets hidden.

use std::{path::Path, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Config, secrets::is_secret_property};

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// One key with its effective value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Dotted: `store.mysql.host`.
    pub key: String,
    /// `None`: not set, and nothing stands for it.
    pub value: Option<Value>,
    /// The value is hidden.
    pub secret: bool,
}

struct Settings(Vec<Setting>);

impl Settings {
    fn put(&mut self, key: impl Into<String>, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        let value = if value.is_null() { None } else { Some(value) };
        self.0.push(Setting { key: key.into(), value, secret: false });
    }

    fn hide(&mut self, key: impl Into<String>, secret: Option<&SecretString>) {
        let set = secret.filter(|secret| !secret.expose_secret().is_empty());
        self.0.push(Setting { key: key.into(), value: set.map(|_| json!(HIDDEN)), secret: true });
    }
}

/// Every key of the configuration.
pub fn settings(config: &Config) -> Vec<Setting> {
    let mut all = Settings(Vec::new());
    all.put("data", &config.data);
    server(config, &mut all);
    queue(config, &mut all);
    archive(config, &mut all);
    store(config, &mut all);
    rows(config, &mut all);
    worker(config, &mut all);
    all.put("spool.path", &config.spool.path);
    all.put("spool.keep", span(config.spool.keep));
    all.put("spool.keep_failed", span(config.spool.keep_failed));
    all.put("spool.expire", span(config.spool.expire));
    all.put("spool.free_bytes", size(config.spool.free_bytes));
    spark(config, &mut all);
    all.0
}

/// The names of all keys, but librdkafka's.
pub(super) fn keys() -> Vec<String> {
    let defaults = super::Layers::default().load().map(|loaded| settings(&loaded.config)).unwrap_or_default();
    defaults.into_iter().map(|setting| setting.key).collect()
}

fn server(config: &Config, all: &mut Settings) {
    let server = &config.server;
    all.put("server.listen", server.listen);
    all.put("server.public_url", &server.public_url);
    all.put("server.worker_url", &server.worker_url);
    all.put("server.max_upload_bytes", size(server.max_upload_bytes));
    all.put("server.max_connections", server.max_connections);
    all.put("server.max_uploads_at_once", server.max_uploads_at_once);
    all.put("server.open_to", server.open_to.iter().map(ToString::to_string).collect::<Vec<_>>());
    all.hide("server.admin_token", server.admin_token.as_ref());
    all.put("server.tokens_file", &server.tokens_file);
    let tokens = server.tokens.iter().map(|token| json!({"name": token.name, "sha256": HIDDEN, "role": token.role}));
    all.put("server.token", tokens.collect::<Vec<_>>());
    all.put("server.tls.certificate", server.tls.as_ref().map(|tls| &tls.certificate));
    all.put("server.tls.key", server.tls.as_ref().map(|tls| &tls.key));
}

fn queue(config: &Config, all: &mut Settings) {
    let kafka = &config.queue.kafka;
    all.put("queue.kind", config.queue.kind);
    all.put("queue.kafka.brokers", &kafka.brokers);
    all.put("queue.kafka.topic", &kafka.topic);
    all.put("queue.kafka.partitions", kafka.partitions);
    all.put("queue.kafka.replication", kafka.replication);
    all.put("queue.kafka.group", &kafka.group);
    for (name, value) in &kafka.properties {
        let key = format!("queue.kafka.properties.{name}");
        if is_secret_property(name) { all.hide(key, Some(value)) } else { all.put(key, value.expose_secret()) }
    }
}

fn archive(config: &Config, all: &mut Settings) {
    let (archive, ftp) = (&config.archive, &config.archive.ftp);
    all.put("archive.kind", archive.kind);
    all.put("archive.name", &archive.name);
    all.put("archive.ftp.host", &ftp.host);
    all.put("archive.ftp.port", ftp.port);
    all.put("archive.ftp.user", &ftp.user);
    all.hide("archive.ftp.password", Some(&ftp.password));
    all.put("archive.ftp.path", &ftp.path);
    all.put("archive.ftp.tls", ftp.tls);
    all.put("archive.ftp.tls_ca_file", &ftp.tls_ca_file);
    all.put("archive.ftp.tls_pin_sha256", &ftp.tls_pin_sha256);
    all.put("archive.ftp.layout", ftp.layout);
}

fn store(config: &Config, all: &mut Settings) {
    let mysql = &config.store.mysql;
    all.put("store.kind", config.store.kind);
    all.put("store.mysql.host", &mysql.host);
    all.put("store.mysql.port", mysql.port);
    all.put("store.mysql.user", &mysql.user);
    all.hide("store.mysql.password", Some(&mysql.password));
    all.put("store.mysql.database", &mysql.database);
    all.put("store.mysql.table", &mysql.table);
    all.put("store.mysql.connections", mysql.connections);
    all.put("store.mysql.tls", mysql.tls);
    all.put("store.mysql.tls_ca_file", &mysql.tls_ca_file);
}

fn rows(config: &Config, all: &mut Settings) {
    let rows = &config.rows;
    all.put("rows.zone", rows.zone);
    all.put("rows.encoding", rows.encoding.name().to_lowercase());
    all.put("rows.delimiter", rows.delimiter.map_or("auto".into(), |delimiter| delimiter.to_string()));
    all.put("rows.header", rows.header);
    all.put("rows.formats", &rows.formats);
    all.put("rows.trim", rows.trim);
    all.put("rows.existing", rows.existing);
    all.put("rows.max_record_bytes", size(rows.max_record_bytes));
    all.put("rows.max_rejects", rows.max_rejects);
    // A table of its own: after the plain keys, as TOML wants it.
    all.put("rows.columns.id", &rows.columns.id);
    all.put("rows.columns.name", &rows.columns.name);
    all.put("rows.columns.time_of_start", &rows.columns.time_of_start);
}

fn worker(config: &Config, all: &mut Settings) {
    let worker = &config.worker;
    all.put("worker.slots", worker.slots);
    all.hide("worker.token", worker.token.as_ref());
    all.put("worker.work", &worker.work);
    all.put("worker.lease_s", worker.lease.as_secs());
    all.put("worker.memory_bytes", size(worker.memory_bytes));
    all.put("worker.paths", worker.paths.iter().map(AsRef::<Path>::as_ref).collect::<Vec<_>>());
    all.put("worker.servers", &worker.servers);
    all.put("worker.tls_ca_file", &worker.tls_ca_file);
}

fn spark(config: &Config, all: &mut Settings) {
    let spark = &config.spark;
    all.put("spark.remote", spark.remote.as_deref().unwrap_or_default());
    all.hide("spark.token", spark.token.as_ref());
    all.put("spark.min_bytes", size(spark.min_bytes));
    all.put("spark.chunk_bytes", size(spark.chunk_bytes));
    all.put("spark.parts", spark.parts);
    all.put("spark.command", &spark.command);
    all.put("spark.source", spark.source);
    all.put("spark.fallback", spark.fallback);
    all.put("spark.timeout_s", spark.timeout.as_secs());
}

/// As people write it, and exactly that many bytes when read again.
fn size(bytes: u64) -> Value {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    unit.map_or(json!(bytes), |(unit, factor)| json!(format!("{}{unit}", bytes / factor)))
}

fn span(duration: Duration) -> Value {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let unit = units
        .into_iter()
        .find(|(_, factor)| duration.subsec_nanos() == 0 && seconds > 0 && seconds.is_multiple_of(*factor));
    unit.map_or(json!(humantime::format_duration(duration).to_string()), |(unit, factor)| {
        json!(format!("{}{unit}", seconds / factor))
    })
}

/// A value in TOML. Its strings and lists are written as JSON's; a delete sign alone differs.
pub fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let pairs: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string().replace('\u{7f}', "\\u007f"),
    }
}
