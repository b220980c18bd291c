//! Storing users, and holding what the server says it did against what was sent. LOAD DATA LOCAL turns every error of
//! a row into a warning, also that of a value that was cut to fit: only the counts tell them from duplicates.

use std::{
    iter::Peekable,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    connections::{Reply, Statement},
    failure,
    join::{Compared, Selection},
    order,
    session::MySqlSession,
    text,
};
use crate::{
    error::{Error, Result, Service},
    rows::{Existing, User, UserBlock},
    store::session::Applied,
};

/// Rows of one INSERT; the quickest of 100, 1,000 and 5,000.
const ROWS_MAX: usize = 1000;

/// Below the smallest `max_allowed_packet` that a server is likely to have (1 MiB), with room for one more row.
const STATEMENT_BYTES: usize = 512 << 10;

/// The row that is sent: MySQL wants it to have a name since 8.0.19 and warns of `VALUES()`, MariaDB knows only that.
/// Each reads its own comments (MySQL manual, "Comments"; MariaDB, "Comment Syntax").
const UPDATING: &str = " /*!80019 AS sent*/ ON DUPLICATE KEY UPDATE \
                        name=/*!80019 sent.name*//*M! VALUES(name)*/,\
                        time_of_start=/*!80019 sent.time_of_start*//*M! VALUES(time_of_start)*/";

/// How rows go in, as found by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    LoadData,
    Insert,
}

impl MySqlSession {
    pub async fn store(&mut self, users: &Arc<UserBlock>, existing: Existing) -> Result<Applied> {
        self.check_open("storing users")?;
        let applied = match existing {
            Existing::Keep => self.keep(users).await,
            Existing::Replace => self.replace(users).await,
        };
        applied.map_err(|error| self.ended(error))
    }

    /// What others store between the look and the sending is told by the server: it counts what it added.
    async fn keep(&mut self, users: &Arc<UserBlock>) -> Result<Applied> {
        let absent = self.absent(users).await?;
        let inserted = self.add(Selection { block: users, only: absent.as_deref() }).await?;
        Ok(Applied { inserted, replaced: 0 })
    }

    async fn replace(&mut self, users: &Arc<UserBlock>) -> Result<Applied> {
        let Compared { absent, mut different } = self.compare(users).await?;
        let absent = Selection { block: users, only: Some(&absent) };
        let inserted = self.add(absent).await?;
        if inserted != absent.len() as u64 {
            // Others stored some of them between. Now all are there and ours are equal to what was sent.
            let theirs = self.look_up(absent).await?;
            self.expect(theirs.absent.len() as u64, 0)?;
            different.extend(theirs.different);
            different.sort_unstable();
        }
        let replaced = self.overwrite(Selection { block: users, only: Some(&different) }).await?;
        Ok(Applied { inserted, replaced })
    }

    /// Adds those whose id is not there yet; gives their number.
    async fn add(&mut self, users: Selection<'_>) -> Result<u64> {
        let order = (self.between == Some(true)).then(|| order::spread(&users.places()));
        let users = Selection { only: order.as_deref().or(users.only), ..users };
        let sent = users.len() as u64;
        let Some(reply) = self.load(users, "").await? else { return self.insert(users).await };
        let [records, deleted, skipped, warnings] =
            ["Records", "Deleted", "Skipped", "Warnings"].map(|label| number(&reply.info, label));
        let stored = records.zip(skipped).and_then(|(records, skipped)| records.checked_sub(skipped));
        let exact =
            records == Some(sent) && deleted == Some(0) && warnings == skipped && stored == Some(reply.affected);
        if exact { Ok(reply.affected) } else { Err(self.miscounted(sent, &reply).await) }
    }

    /// Writes over rows that are there and differ.
    async fn overwrite(&mut self, users: Selection<'_>) -> Result<u64> {
        let sent = users.len() as u64;
        if sent == 0 {
            return Ok(0);
        }
        // REPLACE is quicker, but deletes the row and adds another, without what it had in other columns.
        if self.has_other_columns().await? {
            return self.update(users).await;
        }
        let Some(reply) = self.load(users, "REPLACE ").await? else { return self.update(users).await };
        let [records, skipped, warnings] = ["Records", "Skipped", "Warnings"].map(|label| number(&reply.info, label));
        if records != Some(sent) || skipped != Some(0) || warnings != Some(0) {
            return Err(self.miscounted(sent, &reply).await);
        }
        self.expect(reply.affected, 2 * sent)?;
        Ok(sent)
    }

    /// Whether the table holds more of a user than we do. It cannot change while the transaction uses the table.
    async fn has_other_columns(&mut self) -> Result<bool> {
        if let Some(others) = self.other_columns {
            return Ok(others);
        }
        let columns = self.rows(&format!("SHOW COLUMNS FROM {}", self.server.table)).await?;
        Ok(*self.other_columns.insert(columns.len() > 3))
    }

    /// By LOAD DATA LOCAL; `None` when the server does not allow it.
    async fn load(&mut self, users: Selection<'_>, mode: &str) -> Result<Option<Reply>> {
        if self.server.way.get() == Some(&Way::Insert) || users.len() == 0 {
            return Ok(None);
        }
        let sql = format!("LOAD DATA LOCAL INFILE 'users' {mode}INTO TABLE {} {}", self.server.table, text::LINES);
        let asked = Arc::new(AtomicBool::new(false));
        let file = text::lines(users);
        match self.run_users(Statement::Load(&sql, file, asked.clone())).await {
            Ok(reply) => {
                self.server.goes(Way::LoadData, None);
                Ok(Some(reply))
            }
            Err(error) if !asked.load(Ordering::Relaxed) && failure::is_refused_statement(&error) => {
                self.server.goes(Way::Insert, Some(&error));
                Ok(None)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    fn begin(&self) -> String {
        format!("INSERT INTO {} (id,name,time_of_start) VALUES ", self.server.table)
    }

    /// By INSERT. A key that exists sets its own value again, which counts as no change.
    async fn insert(&mut self, users: Selection<'_>) -> Result<u64> {
        let begin = self.begin();
        let mut statements = Statements::new(&begin, " ON DUPLICATE KEY UPDATE id=id", users.users());
        let mut inserted = 0;
        while let Some((sql, rows)) = statements.next() {
            let reply = self.run_users(Statement::Text(sql)).await.map_err(|error| self.explain(error))?;
            // One row gives no "Records:".
            let records = number(&reply.info, "Records").unwrap_or(1);
            if records != rows || reply.affected > rows || reply.warnings != 0 {
                return Err(self.miscounted(rows, &reply).await);
            }
            inserted += reply.affected;
        }
        Ok(inserted)
    }

    /// By INSERT, which updates those that are there: each counts as two.
    async fn update(&mut self, users: Selection<'_>) -> Result<u64> {
        let begin = self.begin();
        let mut statements = Statements::new(&begin, UPDATING, users.users());
        while let Some((sql, rows)) = statements.next() {
            let reply = self.run_users(Statement::Text(sql)).await.map_err(|error| self.explain(error))?;
            if reply.warnings != 0 {
                return Err(self.miscounted(rows, &reply).await);
            }
            self.expect(reply.affected, 2 * rows)?;
        }
        Ok(users.len() as u64)
    }

    /// Rows are not as they were seen a moment ago: someone else wrote between.
    fn expect(&self, counted: u64, expected: u64) -> Result<()> {
        if counted == expected {
            return Ok(());
        }
        let (table, place) = (&self.server.table, &self.server.place);
        let doing = format!(
            "replacing users in {table} on {place}: {counted} changes where {expected} were due, so another program is \
             writing the same ids; this transaction is done again"
        );
        Err(Error { code: "concurrent_write", ..Error::unavailable(Service::Store, doing) })
    }

    pub fn explain(&self, error: mysql_async::Error) -> Error {
        failure::explain_users(error, &format!("storing users in {}", self.server.table), &self.server.place)
    }

    /// What the server did is not what was sent. Only the numbers of its warnings are told, their texts quote rows.
    async fn miscounted(&mut self, sent: u64, reply: &Reply) -> Error {
        let warned = self.run_users(Statement::Text("SHOW WARNINGS")).await;
        let warned = warned.map(|warned| warned.rows).unwrap_or_default();
        let codes = warned.into_iter().filter_map(|row| row.get_opt::<u32, _>(1).and_then(Result::ok));
        let mut codes: Vec<u32> = codes.filter(|code| *code != 1062).collect();
        codes.sort_unstable();
        codes.dedup();
        let (table, place, info, affected) = (&self.server.table, &self.server.place, &reply.info, reply.affected);
        Error::fatal(
            "store_miscounted",
            format!(
                "storing users in {table} on {place}: of {sent} sent, {affected} were stored, \"{info}\", warnings \
                 other than duplicates: {codes:?}; nothing of it is kept"
            ),
        )
        .next("look up the warnings in the server's manual; the table may have columns or triggers of its own")
    }
}

/// The number behind a label in "Records: 2  Deleted: 0".
fn number(info: &str, label: &str) -> Option<u64> {
    let rest = info.split_once(label)?.1.strip_prefix(": ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The statements that write all of them, made one by one in the same place.
struct Statements<'s, I: Iterator> {
    begin: &'s str,
    end: &'s str,
    users: Peekable<I>,
    sql: String,
}

impl<'s, 'u, I: Iterator<Item = User<'u>>> Statements<'s, I> {
    fn new(begin: &'s str, end: &'s str, users: I) -> Self {
        Self { begin, end, users: users.peekable(), sql: String::new() }
    }

    /// One with its number of rows.
    fn next(&mut self) -> Option<(&str, u64)> {
        self.users.peek()?;
        self.sql.clear();
        let mut rows = 0;
        while rows < ROWS_MAX
            && self.sql.len() < STATEMENT_BYTES
            && let Some(user) = self.users.next()
        {
            self.sql.push_str(if rows == 0 { self.begin } else { "," });
            text::push_values(&mut self.sql, &user);
            rows += 1;
        }
        self.sql.push_str(self.end);
        Some((&self.sql, rows as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_text_is_read_by_its_labels() {
        let info = "Records: 70000  Deleted: 0  Skipped: 69999  Warnings: 69999";
        assert_eq!(number(info, "Records"), Some(70_000));
        assert_eq!(number(info, "Skipped"), Some(69_999));
        assert_eq!(number(info, "Duplicates"), None);
        assert_eq!(number("", "Records"), None);
    }

    #[test]
    fn statements_hold_every_user_once_and_keep_their_bounds() {
        let ids: Vec<String> = (0..2500).map(|n| format!("{n:0250}")).collect();
        let users: Vec<User<'_>> =
            ids.iter().map(|id| User { id, name: &ids[0], time_of_start: "2017-03-07T00:30:54.000Z" }).collect();
        let mut statements = Statements::new("BEGIN ", " END", users.into_iter());
        let mut all = Vec::new();
        while let Some((sql, rows)) = statements.next() {
            all.push((sql.to_owned(), rows));
        }
        assert_eq!(all.iter().map(|(_, rows)| rows).sum::<u64>(), 2500);
        assert!(all.iter().all(|(sql, rows)| *rows <= 1000 && sql.len() < STATEMENT_BYTES + 4096));
        assert!(all.iter().all(|(sql, _)| sql.starts_with("BEGIN (") && sql.ends_with(") END")));
        assert_eq!(all.iter().map(|(sql, _)| sql.matches("),(").count() + 1).sum::<usize>(), 2500);
    }
}
