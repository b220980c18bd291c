//! `db init` on a server: the database, the user table, and the ledger's numbered migrations. May run beside working
//! processes and beside itself.

use std::time::Duration;

use mysql_async::Conn;

use super::{
    NOW_MS, Server,
    connections::{self, Reply, Statement},
    failure, session, table,
    text::quoted,
};
use crate::{
    error::{Error, Result, Service},
    store::{
        ledger::schema::{MYSQL, VERSION, statements},
        session::{Row, Value},
    },
};

/// A large table's change takes long, and the connection is silent meanwhile.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How long one `db init` waits for another.
const TURN_S: i64 = 60;

const TABLES: &str = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?";

/// See `Store::schema`. Made for MySQL, since no server is asked.
pub fn print(server: &Server) -> String {
    let [mysql, mariadb] = table::ID_COLLATIONS;
    let database = quoted(&server.database);
    let mut sql = format!(
        "-- For MySQL 8.0.19 and newer. For MariaDB write {mariadb} wherever {mysql} stands.\n\
         create database if not exists {database} default character set utf8mb4;\nuse {database};\n\n"
    );
    sql.push_str(&filled(server, mysql).join("\n"));
    sql
}

/// The user table's file, then the ledger's migrations.
fn filled(server: &Server, collation: &str) -> Vec<String> {
    // The table last: its name is the operator's and may hold anything.
    MYSQL.filled(&[("{id_collation}", collation), ("{now}", NOW_MS), ("{table}", &server.table)])
}

/// See `Store::init`.
pub async fn init(server: &Server, migrate: bool) -> Result<Vec<String>> {
    let conn = connections::connect(server.administration.clone(), &server.place).await?;
    let mut init = Init { server, conn, collation: table::ID_COLLATIONS[0], said: Vec::new() };
    init.collation = init.id_collation().await?;
    init.database().await?;
    init.turn().await?;
    init.users(migrate).await?;
    init.ledger().await?;
    // Closing it gives the turn to the next.
    let Init { conn, said, .. } = init;
    conn.disconnect().await.map_err(|error| failure::explain(error, "closing the connection", &server.place))?;
    Ok(said)
}

struct Init<'s> {
    server: &'s Server,
    conn: Conn,
    collation: &'static str,
    /// What was done or found.
    said: Vec<String>,
}

impl Init<'_> {
    /// Without a limit: changing a large table takes as long as it takes.
    async fn run(&mut self, statement: Statement<'_>, doing: &str) -> Result<Reply> {
        let reply = connections::ask(&mut self.conn, statement).await;
        reply.map_err(|error| failure::explain(error, doing, &self.server.place))
    }

    async fn rows(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<Row>> {
        let parameters: Vec<Value> = parameters.iter().map(|text| Value::Text((*text).into())).collect();
        let statement = Statement::Prepared(sql, session::sent(&parameters));
        session::received(self.run(statement, "looking at the tables").await?.rows)
    }

    /// The collation that compares bytes and pads nothing, as this server calls it.
    async fn id_collation(&mut self) -> Result<&'static str> {
        for collation in table::ID_COLLATIONS.into_iter().rev() {
            let sql = "SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE COLLATION_NAME = ?";
            if !self.rows(sql, &[collation]).await?.is_empty() {
                return Ok(collation);
            }
        }
        let doing = format!("looking for a binary collation without padding on {}: it has none", self.server.place);
        Err(Error::fatal("store_too_old", doing).next("use MySQL 8.0.19 or newer, or MariaDB 10.2 or newer"))
    }

    async fn database(&mut self) -> Result<()> {
        let name = &self.server.database;
        let known = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?";
        if self.rows(known, &[name]).await?.is_empty() {
            let sql = format!("CREATE DATABASE IF NOT EXISTS {} DEFAULT CHARACTER SET utf8mb4", quoted(name));
            self.run(Statement::Text(&sql), &format!("creating database {name}")).await?;
            self.said.push(format!("Created database {name} on {}.", self.server.place));
        } else {
            self.said.push(format!("Database {name} on {} is there.", self.server.place));
        }
        self.run(Statement::Text(&format!("USE {}", quoted(name))), &format!("opening database {name}")).await?;
        Ok(())
    }

    /// One after the other: none sees what another has half made.
    async fn turn(&mut self) -> Result<()> {
        // A lock's name has at most 64 characters and is the whole server's. Databases of one number wait in vain, no more.
        let sql = "SELECT GET_LOCK(CONCAT('userdata ', CRC32(DATABASE())), ?)";
        let statement = Statement::Prepared(sql, vec![TURN_S.into()]);
        let reply = self.run(statement, "waiting for other runs of db init").await?;
        if session::received(reply.rows)?.first().and_then(|row| row.first()) == Some(&Value::Int(1)) {
            return Ok(());
        }
        let doing =
            format!("waiting for another `userdata db init` on {}: not through in {TURN_S} s", self.server.place);
        Err(Error::unavailable(Service::Store, doing).next("run it again when the other is through"))
    }

    async fn users(&mut self, migrate: bool) -> Result<()> {
        let (server, name) = (self.server, &self.server.table_name);
        let found = self.found().await?;
        if !found.exists() {
            self.files(0..1, &format!("creating table {name}")).await?;
            self.said.push(format!("Created table {name} for the users."));
            return Ok(());
        }
        let differences = found.differences(Some(self.collation));
        let changes: Vec<String> = differences.iter().filter_map(|one| one.change.clone()).collect();
        let unmendable: Vec<&str> =
            differences.iter().filter(|one| one.change.is_none()).map(|one| one.what.as_str()).collect();
        let sql = format!("ALTER TABLE {} {}", server.table, changes.join(", "));
        let what = table::sentence(&differences);
        let sentence = if differences.is_empty() {
            format!("Table {name} for the users is there, as it must be.")
        } else if !unmendable.is_empty() {
            format!(
                "Table {name} cannot be loaded: {}. Nothing was changed in it; choose another [store.mysql] table, or \
                 change it by hand.",
                unmendable.join("; ")
            )
        } else if !migrate {
            format!(
                "Table {name} cannot be loaded as it is: {what}. Nothing was changed in it; `userdata db init \
                 --migrate` would run: {sql}"
            )
        } else {
            self.run(Statement::Text(&sql), &format!("changing table {name}")).await?;
            format!("Changed table {name} ({what}): {sql}")
        };
        self.said.push(sentence);
        Ok(())
    }

    async fn found(&mut self) -> Result<table::Found> {
        let (database, name) = (&self.server.database, &self.server.table_name);
        let key = [database.as_str(), name.as_str()];
        Ok(table::Found {
            table: self.rows(table::TABLE, &key).await?,
            columns: self.rows(table::COLUMNS, &key).await?,
            keys: self.rows(table::CONSTRAINTS, &key).await?,
        })
    }

    async fn ledger(&mut self) -> Result<()> {
        let database = &self.server.database;
        let before = self.rows(TABLES, &[database]).await?;
        let version = self.version(&before).await?;
        if version >= VERSION {
            let more = if version > VERSION { ", newer than this program's" } else { "" };
            self.said.push(format!("The ledger is there, version {version}{more}."));
            return Ok(());
        }
        // File 0 is the users'; file n brings the ledger to version n.
        let (first, last) = (usize::try_from(version).unwrap_or_default() + 1, MYSQL.migrations.len());
        self.files(first..last + 1, &format!("bringing the ledger to version {VERSION}")).await?;
        let after = self.rows(TABLES, &[database]).await?;
        let new = after.iter().filter(|row| !before.contains(row)).filter_map(|row| match row.first() {
            Some(Value::Text(name)) => Some(name.as_str()),
            _ => None,
        });
        let created: Vec<&str> = new.collect();
        self.said.push(match (version, created.as_slice()) {
            (_, []) => format!("Brought the ledger to version {VERSION}."),
            (0, created) => format!("Created the ledger, version {VERSION}: {}.", created.join(", ")),
            (_, created) => format!("Brought the ledger to version {VERSION}, with new tables {}.", created.join(", ")),
        });
        Ok(())
    }

    async fn files(&mut self, which: std::ops::Range<usize>, doing: &str) -> Result<()> {
        for file in filled(self.server, self.collation).drain(which) {
            for statement in statements(&file) {
                self.run(Statement::Text(&statement), doing).await?;
            }
        }
        Ok(())
    }

    /// 0: there is none.
    async fn version(&mut self, tables: &[Row]) -> Result<i64> {
        if !tables.iter().any(|row| row.first() == Some(&Value::Text("userdata_schema".into()))) {
            return Ok(0);
        }
        let rows = self.rows("SELECT COALESCE(MAX(version), 0) FROM userdata_schema", &[]).await?;
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Int(version)) => Ok(*version),
            _ => Ok(0),
        }
    }
}
