//! Storing users, and holding what the server says it did against what was sent. LOAD DATA LOCAL turns every error of
//! a row into a warning, also that of a value that was cut to fit: only the counts tell them from duplicates.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Server,
    connections::{Reply, Statement},
    failure,
    session::MySqlSession,
    text,
};
use crate::{
    error::{Error, Result, Service},
    rows::{Existing, User, UserBlock},
    store::session::Applied,
};

/// Rows of one INSERT or REPLACE; the quickest of 100, 1,000 and 5,000.
const ROWS_MAX: usize = 1000;

/// Below the smallest `max_allowed_packet` that a server is likely to have (1 MiB), with room for one more row.
const STATEMENT_BYTES: usize = 512 << 10;

/// Ids of one look-up. MariaDB makes a join of a list of 1,000 or more, which locks other rows.
const LOOKUP_IDS: usize = 500;

/// How rows go in, as found by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    LoadData,
    Insert,
}

impl MySqlSession {
    pub async fn store(&mut self, users: &UserBlock, existing: Existing) -> Result<Applied> {
        self.check_open("storing users")?;
        let all: Vec<User<'_>> = users.iter().collect();
        let applied = match existing {
            Existing::Keep => self.add(&all).await.map(|inserted| Applied { inserted, replaced: 0 }),
            Existing::Replace => self.replace(&all).await,
        };
        applied.map_err(|error| self.ended(error))
    }

    /// Adds those whose id is not there yet; gives their number.
    async fn add(&mut self, users: &[User<'_>]) -> Result<u64> {
        if users.is_empty() {
            return Ok(0);
        }
        if self.server.way.get() != Some(&Way::Insert)
            && let Some(inserted) = self.load(users).await?
        {
            return Ok(inserted);
        }
        self.insert(users).await
    }

    /// By LOAD DATA LOCAL; `None` when the server does not allow it.
    async fn load(&mut self, users: &[User<'_>]) -> Result<Option<u64>> {
        let sql = format!("LOAD DATA LOCAL INFILE 'users' INTO TABLE {} {}", self.server.table, text::LINES);
        let asked = Arc::new(AtomicBool::new(false));
        let reply = self.run_users(Statement::Load(&sql, text::lines(users), asked.clone())).await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) if !asked.load(Ordering::Relaxed) && failure::is_refused_statement(&error) => {
                self.server.goes(Way::Insert, Some(&error));
                return Ok(None);
            }
            Err(error) => return Err(self.explain(error)),
        };
        self.server.goes(Way::LoadData, None);
        let [records, deleted, skipped, warnings] =
            ["Records", "Deleted", "Skipped", "Warnings"].map(|label| number(&reply.info, label));
        let sent = users.len() as u64;
        let stored = records.zip(skipped).and_then(|(records, skipped)| records.checked_sub(skipped));
        let exact =
            records == Some(sent) && deleted == Some(0) && warnings == skipped && stored == Some(reply.affected);
        if exact { Ok(Some(reply.affected)) } else { Err(self.miscounted(sent, &reply).await) }
    }

    /// By INSERT. A key that exists sets its own value again, which counts as no change.
    async fn insert(&mut self, users: &[User<'_>]) -> Result<u64> {
        let begin = format!("INSERT INTO {} (id,name,time_of_start) VALUES ", self.server.table);
        let mut inserted = 0;
        for (sql, rows) in statements(&begin, " ON DUPLICATE KEY UPDATE id=id", users) {
            let reply = self.run_users(Statement::Text(&sql)).await.map_err(|error| self.explain(error))?;
            // One row gives no "Records:".
            let records = number(&reply.info, "Records").unwrap_or(1);
            if records != rows || reply.affected > rows || reply.warnings != 0 {
                return Err(self.miscounted(rows, &reply).await);
            }
            inserted += reply.affected;
        }
        Ok(inserted)
    }

    async fn replace(&mut self, users: &[User<'_>]) -> Result<Applied> {
        let (mut absent, mut different) = (Vec::new(), Vec::new());
        for some in users.chunks(LOOKUP_IDS) {
            let present = self.present(some).await?;
            for user in some {
                match present.get(user.id) {
                    None => absent.push(*user),
                    Some([name, time]) if is(name, user.name) && is(time, user.time_of_start) => {}
                    Some(_) => different.push(*user),
                }
            }
        }
        let inserted = self.add(&absent).await?;
        self.expect(inserted, absent.len() as u64)?;
        let begin = format!("REPLACE INTO {} (id,name,time_of_start) VALUES ", self.server.table);
        for (sql, rows) in statements(&begin, "", &different) {
            let reply = self.run_users(Statement::Text(&sql)).await.map_err(|error| self.explain(error))?;
            if reply.warnings != 0 {
                return Err(self.miscounted(rows, &reply).await);
            }
            // One deleted, one inserted.
            self.expect(reply.affected, 2 * rows)?;
        }
        Ok(Applied { inserted, replaced: different.len() as u64 })
    }

    /// Name and time of the ids that are there, locked until the transaction's end.
    async fn present(&mut self, users: &[User<'_>]) -> Result<HashMap<String, [Option<String>; 2]>> {
        let table = &self.server.table;
        let mut sql = format!("SELECT id,name,time_of_start FROM {table} FORCE INDEX (PRIMARY) WHERE id IN (");
        for (index, user) in users.iter().enumerate() {
            if index > 0 {
                sql.push(',');
            }
            text::push_literal(&mut sql, user.id);
        }
        sql.push_str(") FOR UPDATE");
        let reply = self.run_users(Statement::Text(&sql)).await.map_err(|error| self.explain(error))?;
        let rows = reply.rows.into_iter().map(mysql_async::from_row_opt::<(String, Option<String>, Option<String>)>);
        let present = rows.map(|row| row.map(|(id, name, time)| (id, [name, time]))).collect::<Result<_, _>>();
        present.map_err(|_| {
            let Server { table, place, .. } = &*self.server;
            let doing = format!("reading users in {table} on {place}: a row is not text in three columns");
            Error::fatal("store_failed", doing).next("run: userdata db init")
        })
    }

    /// Rows that were locked or absent a moment ago are not: someone else wrote between.
    fn expect(&self, counted: u64, expected: u64) -> Result<()> {
        if counted == expected {
            return Ok(());
        }
        let (table, place) = (&self.server.table, &self.server.place);
        let doing = format!(
            "replacing users in {table} on {place}: {counted} changes instead of {expected}, so another program is \
             writing the same ids; this transaction is done again"
        );
        Err(Error { code: "concurrent_write", ..Error::unavailable(Service::Store, doing) })
    }

    fn explain(&self, error: mysql_async::Error) -> Error {
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

fn is(present: &Option<String>, wanted: &str) -> bool {
    present.as_deref() == Some(wanted)
}

/// The number behind a label in "Records: 2  Deleted: 0".
fn number(info: &str, label: &str) -> Option<u64> {
    let rest = info.split_once(label)?.1.strip_prefix(": ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The statements that write all of them, each with its number of rows, made one by one.
fn statements<'u>(
    begin: &'u str,
    end: &'u str,
    users: &'u [User<'u>],
) -> impl Iterator<Item = (String, u64)> + use<'u> {
    let mut rest = users;
    std::iter::from_fn(move || {
        let mut sql = String::with_capacity(STATEMENT_BYTES);
        let mut rows = 0;
        while let Some((user, others)) = rest.split_first()
            && rows < ROWS_MAX
            && sql.len() < STATEMENT_BYTES
        {
            sql.push_str(if rows == 0 { begin } else { "," });
            text::push_values(&mut sql, user);
            (rows, rest) = (rows + 1, others);
        }
        sql.push_str(end);
        (rows > 0).then_some((sql, rows as u64))
    })
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
        let all: Vec<_> = statements("BEGIN ", " END", &users).collect();
        assert_eq!(all.iter().map(|(_, rows)| rows).sum::<u64>(), 2500);
        assert!(all.iter().all(|(sql, rows)| *rows <= 1000 && sql.len() < STATEMENT_BYTES + 4096));
        assert!(all.iter().all(|(sql, _)| sql.starts_with("BEGIN (") && sql.ends_with(") END")));
        assert_eq!(all.iter().map(|(sql, _)| sql.matches("),(").count() + 1).sum::<usize>(), 2500);
    }
}
