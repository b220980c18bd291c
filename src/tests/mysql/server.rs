//! A real server, and in it a database for one test.

use std::time::Duration;

use mysql_async::{Conn, OptsBuilder, Row, from_row, prelude::Queryable};
use tokio::sync::RwLock;
use userdata::{
    config::{Mysql, MysqlTls},
    rows::{RowOptions, User, UserBlock},
    store::{mysql::MySql, session::Database},
    upload::{NewUpload, Place, UploadId},
};

pub const LEASE: Duration = Duration::from_secs(30);

/// Taken by every test; for writing by one that changes a setting of the whole server, or counts something of all its
/// clients.
pub static SETTINGS: RwLock<()> = RwLock::const_new(());

/// Users as they are expected in the table: id, name, time_of_start.
pub type Table = Vec<(String, Option<String>, Option<String>)>;

pub struct Server {
    pub host: String,
    pub port: u16,
    pub database: String,
}

impl Server {
    pub fn mysql() -> Self {
        Self::from("USERDATA_TEST_MYSQL")
    }

    pub fn mariadb() -> Self {
        Self::from("USERDATA_TEST_MARIADB")
    }

    fn from(variable: &str) -> Self {
        let address = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run compose/test, or start it: eval \"$(compose/services env)\"")
        });
        let (host, port) = address.rsplit_once(':').expect("host:port");
        let database = format!("userdata_{}", uuid::Uuid::new_v4().simple());
        Self { host: host.into(), port: port.parse().expect("a port"), database }
    }

    pub fn config(&self) -> Mysql {
        Mysql {
            host: self.host.clone(),
            port: self.port,
            user: "userdata".into(),
            password: "test-password".into(),
            database: self.database.clone(),
            table: "userinfo".into(),
            connections: 2,
            tls: MysqlTls::Off,
            tls_ca_file: None,
        }
    }

    /// As a program sees it, with what `db init` makes.
    pub async fn initialized(&self) -> MySql {
        let database = self.opened();
        database.init(false).await.expect("db init");
        database
    }

    pub fn opened(&self) -> MySql {
        MySql::new(&self.config(), LEASE).expect("settings")
    }

    /// Another program's connections under the same account.
    pub fn options(&self) -> OptsBuilder {
        let options = OptsBuilder::default().ip_or_hostname(&self.host).tcp_port(self.port).prefer_socket(false);
        options.user(Some("userdata")).pass(Some("test-password"))
    }

    /// Someone else's connection, who may do everything.
    pub async fn root(&self) -> Conn {
        let options = OptsBuilder::default().ip_or_hostname(&self.host).tcp_port(self.port).user(Some("root"));
        Conn::new(options.prefer_socket(false)).await.expect("root's connection")
    }

    pub async fn run(&self, sql: &str) {
        let mut root = self.root().await;
        let sql = sql.replace("DB.", &format!("{}.", self.database));
        root.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub async fn rows(&self, sql: &str) -> Vec<Row> {
        let sql = sql.replace("DB.", &format!("{}.", self.database));
        self.root().await.query(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub async fn number(&self, sql: &str) -> u64 {
        from_row::<(u64,)>(self.rows(sql).await.remove(0)).0
    }

    pub async fn users(&self) -> Table {
        let sql = format!("SELECT id, name, time_of_start FROM {}.userinfo ORDER BY id", self.database);
        self.root().await.query(sql).await.expect("the users")
    }

    /// Pages of the user table that hold rows.
    pub async fn leaf_pages(&self) -> u64 {
        self.run("ANALYZE TABLE DB.userinfo").await;
        let sql = format!(
            "SELECT CAST(stat_value AS UNSIGNED) FROM mysql.innodb_index_stats WHERE database_name = '{}' \
             AND table_name = 'userinfo' AND index_name = 'PRIMARY' AND stat_name = 'n_leaf_pages'",
            self.database
        );
        self.number(&sql).await
    }

    /// Connections that run in this test's database.
    pub async fn connections(&self) -> Vec<u64> {
        let sql = format!("SELECT id FROM information_schema.processlist WHERE db = '{}'", self.database);
        self.rows(&sql).await.into_iter().map(|row| from_row::<(u64,)>(row).0).collect()
    }

    /// A counter of the whole server, for tests that run alone.
    pub async fn status(&self, name: &str) -> u64 {
        text(&self.rows(&format!("SHOW GLOBAL STATUS LIKE '{name}'")).await[0], 1).parse().expect("a number")
    }

    /// Waits until so many statements wait for somebody's lock.
    pub async fn until_locked(&self, statements: u64) {
        let waiting = async || self.status("Innodb_row_lock_current_waits").await == statements;
        within_30_s("statements to wait for a lock", waiting).await;
    }

    /// Waits until a query gives a number above zero.
    pub async fn until(&self, what: &str, sql: &str) {
        within_30_s(what, async || self.number(sql).await > 0).await;
    }

    /// Waits until so many statements wait for a lock of GET_LOCK in this test's database.
    pub async fn until_held(&self, statements: u64) {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}' AND state = 'User lock'",
            self.database
        );
        within_30_s("a statement to be held", async || self.number(&sql).await == statements).await;
    }

    pub async fn until_closed(&self) {
        within_30_s("the connections to end", async || self.connections().await.is_empty()).await;
    }

    /// Whether LOAD DATA LOCAL is allowed, for tests that run alone.
    pub async fn allow_load_data(&self, allowed: bool) {
        self.run(&format!("SET GLOBAL local_infile = {}", u8::from(allowed))).await;
    }

    pub async fn dropped(self) {
        self.run(&format!("DROP DATABASE IF EXISTS {}", self.database)).await;
    }
}

/// Users in ascending order of id.
pub fn block<'u>(users: impl IntoIterator<Item = (&'u str, &'u str, &'u str)>) -> UserBlock {
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_unstable();
    let mut block = UserBlock::default();
    for (id, name, time_of_start) in users {
        block.push(User { id, name, time_of_start }, 1, false);
    }
    block
}

pub fn table(block: &UserBlock) -> Table {
    block.iter().map(|user| (user.id.into(), Some(user.name.into()), Some(user.time_of_start.into()))).collect()
}

pub fn text(row: &Row, column: usize) -> String {
    row.get(column).expect("text")
}

async fn within_30_s(what: &str, happened: impl AsyncFn() -> bool) {
    for _ in 0..1500 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited for 30 s for {what}");
}

/// An upload that nobody knows yet.
pub fn upload() -> NewUpload {
    NewUpload {
        format: NewUpload::FORMAT,
        id: UploadId::new(),
        filename: "users.csv".into(),
        media_type: "text/csv".into(),
        size: 1,
        sha256: None,
        sample: None,
        sender: "local".into(),
        started_ms: 0,
        received_ms: 0,
        place: Place::default(),
        options: RowOptions::default(),
        again_of: None,
    }
}
