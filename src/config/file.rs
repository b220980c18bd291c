//! The shape of `Config.toml`: every key that may be written, as it is written, with the built-in default of those
//! that have one. What a key means stands at the effective configuration (`super::Config`).

use std::collections::BTreeMap;

use figment::value::Value;
use serde::Deserialize;

use super::{
    ArchiveKind, FtpLayout, FtpTls, MysqlTls, QueueKind, Role, SparkFallback, SparkSource, StoreKind,
    text::{List, OptionTexts, Secret, Size, Span, Text},
};

/// Gives each section's keys and their defaults in one place.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($key:ident: $type:ty = $default:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $(pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

fn text(text: &str) -> Text<String> {
    Text(text.into())
}

const fn seconds(seconds: u64) -> Text<Span> {
    Text(Span(std::time::Duration::from_secs(seconds)))
}

const DAY_S: u64 = 24 * 60 * 60;

section!(File {
    data: Option<Text<String>> = None,
    server: Server = Server::default(),
    queue: Queue = Queue::default(),
    archive: Archive = Archive::default(),
    store: Store = Store::default(),
    rows: Rows = Rows::default(),
    worker: Worker = Worker::default(),
    spool: Spool = Spool::default(),
    spark: Spark = Spark::default(),
});

section!(Server {
    listen: Text<std::net::SocketAddr> = Text(([127, 0, 0, 1], 9000).into()),
    public_url: Option<Text<String>> = None,
    worker_url: Option<Text<String>> = None,
    max_upload_bytes: Text<Size> = Text(Size(50_000_000_000)),
    max_connections: Text<usize> = Text(10_000),
    max_uploads_at_once: Text<usize> = Text(4_000),
    open_to: List = List::default(),
    admin_token: Option<Secret> = None,
    admin_token_file: Option<Text<String>> = None,
    tokens_file: Option<Text<String>> = None,
    token: Vec<Token> = Vec::new(),
    tls: Tls = Tls::default(),
});

section!(Tls { certificate: Option<Text<String>> = None, key: Option<Text<String>> = None });

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub name: Text<String>,
    pub sha256: Text<String>,
    pub role: Role,
}

section!(Queue { kind: QueueKind = QueueKind::Local, kafka: Kafka = Kafka::default() });

section!(Kafka {
    brokers: List = List::default(),
    topic: Text<String> = text("uploadmessage"),
    partitions: Text<i32> = Text(1),
    replication: Text<i32> = Text(-1),
    group: Text<String> = text("datarunner"),
    properties: BTreeMap<String, Value> = BTreeMap::new(),
});

section!(Archive {
    kind: ArchiveKind = ArchiveKind::Directory,
    name: Text<String> = text("{yyyy}/{mm}/{id}/{filename}"),
    ftp: Ftp = Ftp::default(),
});

section!(Ftp {
    host: Text<String> = text(""),
    port: Text<u16> = Text(21),
    user: Text<String> = text("anonymous"),
    password: Option<Secret> = None,
    password_file: Option<Text<String>> = None,
    path: Text<String> = text(""),
    tls: FtpTls = FtpTls::Off,
    tls_ca_file: Option<Text<String>> = None,
    tls_pin_sha256: Option<Text<String>> = None,
    layout: FtpLayout = FtpLayout::Single,
});

section!(Store { kind: StoreKind = StoreKind::Sqlite, mysql: Mysql = Mysql::default() });

section!(Mysql {
    host: Text<String> = text(""),
    port: Text<u16> = Text(3306),
    user: Text<String> = text(""),
    password: Option<Secret> = None,
    password_file: Option<Text<String>> = None,
    database: Text<String> = text("userdb"),
    table: Text<String> = text("userinfo"),
    connections: Text<usize> = Text(3),
    tls: MysqlTls = MysqlTls::Off,
    tls_ca_file: Option<Text<String>> = None,
});

section!(Rows {
    zone: Option<OptionTexts> = None,
    encoding: Option<OptionTexts> = None,
    delimiter: Option<OptionTexts> = None,
    header: Option<OptionTexts> = None,
    columns: Option<Columns> = None,
    formats: Option<List> = None,
    trim: Option<OptionTexts> = None,
    existing: Option<OptionTexts> = None,
    max_record_bytes: Option<OptionTexts> = None,
    max_rejects: Option<OptionTexts> = None,
});

/// Columns as a table, or as the text of the flag (`id=Kunde,name=Nachname`).
#[derive(Debug, Clone)]
pub(super) enum Columns {
    Text(String),
    Table(ColumnTable),
}

section!(ColumnTable {
    id: Option<OptionTexts> = None,
    name: Option<OptionTexts> = None,
    time_of_start: Option<OptionTexts> = None,
});

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Columns;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a table such as { id = \"COLUMN\" }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Columns, E> {
                Ok(Columns::Text(text.into()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Columns, A::Error> {
                ColumnTable::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Columns::Table)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

section!(Worker {
    slots: Text<usize> = Text(2),
    token: Option<Secret> = None,
    token_file: Option<Text<String>> = None,
    work: Option<Text<String>> = None,
    lease_s: Text<u32> = Text(30),
    memory_bytes: Text<Size> = Text(Size(256 << 20)),
    paths: Option<List> = None,
    servers: List = List::default(),
    tls_ca_file: Option<Text<String>> = None,
});

section!(Spool {
    path: Option<Text<String>> = None,
    keep: Text<Span> = seconds(DAY_S),
    keep_failed: Text<Span> = seconds(30 * DAY_S),
    expire: Text<Span> = seconds(7 * DAY_S),
    free_bytes: Text<Size> = Text(Size(1 << 30)),
});

section!(Spark {
    remote: Text<String> = text(""),
    token: Option<Secret> = None,
    token_file: Option<Text<String>> = None,
    min_bytes: Text<Size> = Text(Size(1 << 30)),
    chunk_bytes: Text<Size> = Text(Size(64 << 20)),
    parts: Text<usize> = Text(16),
    command: Text<String> = text("userdata"),
    source: SparkSource = SparkSource::Archive,
    fallback: SparkFallback = SparkFallback::Wait,
    timeout_s: Text<u32> = Text(600),
});
