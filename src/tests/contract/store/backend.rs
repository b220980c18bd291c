//! The three databases: a file, and two servers with a database for each scenario.

use std::{sync::Arc, time::Duration};

use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use userdata::{
    config::{Mysql, MysqlTls},
    store::{Store, mysql, sqlite},
};

use super::{Backend, Bench, UserTable, Users};
use crate::service;

pub struct SqliteFiles;

#[async_trait::async_trait]
impl Backend for SqliteFiles {
    async fn fresh(&self) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/yet/there/userdata.db");
        let open = || Arc::new(sqlite::open(&path).unwrap());
        Bench { store: open(), other: open(), table: Box::new(SqliteTable { path: path.clone(), folder }) }
    }
}

struct SqliteTable {
    path: std::path::PathBuf,
    folder: tempfile::TempDir,
}

#[async_trait::async_trait]
impl UserTable for SqliteTable {
    async fn users(&self) -> Users {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        let mut users = connection.prepare("select id, name, time_of_start from userinfo order by id").unwrap();
        let rows = users.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    async fn close(self: Box<Self>) {
        self.folder.close().unwrap();
    }
}

pub struct MySqlServer {
    host: String,
    port: u16,
}

impl MySqlServer {
    pub fn at(variable: &str) -> Self {
        let address = service(variable);
        let (host, port) = address.rsplit_once(':').expect("host:port");
        Self { host: host.into(), port: port.parse().expect("a port") }
    }
}

#[async_trait::async_trait]
impl Backend for MySqlServer {
    async fn fresh(&self) -> Bench {
        let database = format!("userdata_{}", uuid::Uuid::new_v4().simple());
        let config = Mysql {
            host: self.host.clone(),
            port: self.port,
            user: "userdata".into(),
            password: "test-password".into(),
            database: database.clone(),
            table: "userinfo".into(),
            connections: 3,
            tls: MysqlTls::Off,
            tls_ca_file: None,
        };
        let open = async || Arc::new(mysql::open(&config, Duration::from_secs(30)).await.unwrap());
        let (store, other) = (open().await, open().await);
        store.init(false).await.unwrap();
        let options = OptsBuilder::default().ip_or_hostname(&self.host).tcp_port(self.port).user(Some("root"));
        Bench { store, other, table: Box::new(MySqlTable { options: options.prefer_socket(false), database }) }
    }
}

struct MySqlTable {
    options: OptsBuilder,
    database: String,
}

#[async_trait::async_trait]
impl UserTable for MySqlTable {
    async fn users(&self) -> Users {
        let sql = format!("select id, name, time_of_start from {}.userinfo order by id", self.database);
        Conn::new(self.options.clone()).await.unwrap().query(sql).await.unwrap()
    }

    async fn close(self: Box<Self>) {
        let sql = format!("drop database {}", self.database);
        Conn::new(self.options.clone()).await.unwrap().query_drop(sql).await.unwrap();
    }
}
