//! Finding the users of a block that the table holds already, by reading both in order of their ids. The table's rows
//! are read in pages, from the block's first id to its last, in the block's own transaction. That pays where the
//! table's ids stand about as close as the block's; where they stand far closer, most of what is read is of no use, and
//! the other ways are cheaper: `keep` sends every row and lets the server tell duplicates, `replace` asks for ids.
//!
//! Pages are read without locks: to lock them would hold rows that are in no file, and wait at a range's end for
//! whoever loads the next one. What others write meanwhile shows in the counts of what is written after it.

#[cfg(test)]
mod tests;

use std::{
    cmp::Ordering,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering as Atomic},
    },
};

use mysql_async::{Row, Value};

use super::{Server, connections::Statement, order, session::MySqlSession, text};
use crate::{
    error::{Error, Result},
    rows::{User, UserBlock},
};

/// Some users of a block, or all of them. Ascending where they are compared with the table's.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'b> {
    pub block: &'b Arc<UserBlock>,
    /// Places in the block.
    pub only: Option<&'b [u32]>,
}

impl<'b> Selection<'b> {
    pub fn len(self) -> usize {
        self.only.map_or(self.block.len(), <[u32]>::len)
    }

    fn place(self, at: usize) -> u32 {
        self.only.map_or(at as u32, |only| only[at])
    }

    /// The users' places in the block.
    pub fn places(self) -> Vec<u32> {
        (0..self.len()).map(|at| self.place(at)).collect()
    }

    fn user(self, at: usize) -> User<'b> {
        self.block.user(self.place(at) as usize)
    }

    pub fn users(self) -> impl Iterator<Item = User<'b>> {
        (0..self.len()).map(move |at| self.user(at))
    }

    /// The users as lines of their block.
    pub fn lines(self) -> impl Iterator<Item = &'b str> {
        (0..self.len()).map(move |at| self.block.line(self.place(at) as usize))
    }
}

/// Rows of the table read at once, unless the block has fewer: a page that a small block must pay for is small too.
pub const PAGE_ROWS: usize = 5000;

/// Ids of one look-up. MariaDB makes a join of a list of 1,000 or more, which locks other rows.
const LOOKUP_IDS: usize = 500;

/// To read a row of the table costs the server about a tenth of what it costs to be sent one that is there already.
const READS_PER_DUPLICATE: u64 = 8;

/// Blocks that are stored without a look, at most, before the next look.
const BLOCKS_UNSEEN: u32 = 16;

/// Whether looking into the table has paid lately: if not, the next blocks do without, each time twice as many. Shared by
/// all connections, and no more than a hint: counts are exact either way.
#[derive(Debug, Default)]
pub struct Looks {
    unseen: AtomicU32,
    in_vain: AtomicU32,
}

impl Looks {
    /// Whether this block should look.
    fn due(&self) -> bool {
        self.unseen.fetch_update(Atomic::Relaxed, Atomic::Relaxed, |blocks| blocks.checked_sub(1)).is_err()
    }

    fn learn(&self, paid: bool) {
        if paid {
            self.in_vain.store(0, Atomic::Relaxed);
        } else {
            let before = self.in_vain.fetch_add(1, Atomic::Relaxed);
            self.unseen.store(BLOCKS_UNSEEN.min(1 << before.min(16)), Atomic::Relaxed);
        }
    }
}

/// Users of a block by their places in it. The others are in the table as they are in the block, or were not looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub absent: Vec<u32>,
    pub different: Vec<u32>,
}

/// Users being compared with rows of the table, both ascending.
struct Join<'b> {
    users: Selection<'b>,
    /// Before it all are compared.
    at: usize,
    compared: Compared,
    /// Rows of the table, and those of them that are among the users.
    read: u64,
    met: u64,
}

impl<'b> Join<'b> {
    fn new(users: Selection<'b>) -> Self {
        Self { users, at: 0, compared: Compared::default(), read: 0, met: 0 }
    }

    fn row(&mut self, id: &[u8], equals: impl FnOnce(User<'b>) -> bool) {
        self.read += 1;
        while self.at < self.users.len() {
            let (place, user) = (self.users.place(self.at), self.users.user(self.at));
            match user.id.as_bytes().cmp(id) {
                Ordering::Less => self.compared.absent.push(place),
                Ordering::Equal => {
                    self.met += 1;
                    if !equals(user) {
                        self.compared.different.push(place);
                    }
                    self.at += 1;
                    return;
                }
                Ordering::Greater => return,
            }
            self.at += 1;
        }
    }

    /// Nothing more is read of the table before user number `end`.
    fn absent_before(&mut self, end: usize) {
        let users = self.users;
        self.compared.absent.extend((self.at..end).map(|at| users.place(at)));
        self.at = end;
    }

    /// Whether the table's rows stand between those that will be added; known when all users are compared.
    fn is_between(&self) -> bool {
        order::is_between(self.read, self.compared.absent.len() as u64)
    }

    /// Whether the rows read have saved more than they cost.
    fn pays(&self) -> bool {
        self.met * READS_PER_DUPLICATE >= self.read
    }
}

/// The part of the table that a block spans.
struct Pages<'b> {
    users: &'b UserBlock,
    rows: usize,
    /// The last id read.
    behind: Option<String>,
}

impl<'b> Pages<'b> {
    fn new(users: &'b UserBlock) -> Self {
        Self { users, rows: users.len().min(PAGE_ROWS), behind: None }
    }

    fn sql(&self, columns: &str, table: &str) -> String {
        let mut sql = format!("SELECT {columns} FROM {table} FORCE INDEX (PRIMARY) WHERE id");
        match &self.behind {
            Some(id) => {
                sql.push('>');
                text::push_literal(&mut sql, id);
            }
            None => {
                sql.push_str(">=");
                text::push_literal(&mut sql, self.users.user(0).id);
            }
        }
        sql.push_str(" AND id<=");
        text::push_literal(&mut sql, self.users.last_id().unwrap_or_default());
        sql.push_str(&format!(" ORDER BY id LIMIT {}", self.rows));
        sql
    }
}

impl MySqlSession {
    /// The users that may be absent: all but those that were seen to be there. `None`: nobody looked.
    pub async fn absent(&mut self, users: &Arc<UserBlock>) -> Result<Option<Vec<u32>>> {
        // The first large block of a transaction looks in any case: the order of all that follows depends on it.
        let wanted = self.between.is_none() && users.len() > order::WINDOW;
        if users.is_empty() || !(wanted || self.server.keeping.due()) {
            return Ok(None);
        }
        let mut join = Join::new(Selection { block: users, only: None });
        let mut pages = Pages::new(users);
        loop {
            let rows = self.rows(&pages.sql("id", &self.server.table)).await?;
            for row in &rows {
                join.row(self.column(row, 0)?, |_| true);
            }
            if rows.len() < pages.rows || !join.pays() {
                break;
            }
            pages.behind = self.id(rows.last())?;
        }
        self.server.keeping.learn(join.pays());
        join.absent_before(users.len());
        self.between = Some(join.is_between());
        Ok(Some(join.compared.absent))
    }

    /// Which users are absent, and which are there with another name or time.
    pub async fn compare(&mut self, users: &Arc<UserBlock>) -> Result<Compared> {
        let mut join = Join::new(Selection { block: users, only: None });
        if !users.is_empty() && self.server.replacing.due() {
            self.compare_pages(&mut join).await?;
        }
        self.compare_ids(&mut join).await?;
        self.between = Some(join.is_between());
        Ok(join.compared)
    }

    /// The same of some users, whose rows stay locked until the transaction ends.
    pub async fn look_up(&mut self, users: Selection<'_>) -> Result<Compared> {
        let mut join = Join::new(users);
        self.compare_ids(&mut join).await?;
        Ok(join.compared)
    }

    /// Stops where the table's ids stand far closer than the block's: a page went less than a quarter of its rows
    /// through the block.
    async fn compare_pages(&mut self, join: &mut Join<'_>) -> Result<()> {
        let mut pages = Pages::new(join.users.block);
        loop {
            let before = join.at;
            let rows = self.rows(&pages.sql("id,name,time_of_start", &self.server.table)).await?;
            self.compare_rows(join, &rows)?;
            if rows.len() < pages.rows {
                join.absent_before(join.users.len());
                self.server.replacing.learn(true);
                return Ok(());
            }
            if (join.at - before) * 4 < pages.rows {
                self.server.replacing.learn(false);
                return Ok(());
            }
            pages.behind = self.id(rows.last())?;
        }
    }

    /// Looks up by their ids those that are not compared yet.
    async fn compare_ids(&mut self, join: &mut Join<'_>) -> Result<()> {
        let begin =
            format!("SELECT id,name,time_of_start FROM {} FORCE INDEX (PRIMARY) WHERE id IN ", self.server.table);
        while join.at < join.users.len() {
            let end = join.users.len().min(join.at + LOOKUP_IDS);
            let mut sql = begin.clone();
            for at in join.at..end {
                sql.push(if at == join.at { '(' } else { ',' });
                text::push_literal(&mut sql, join.users.user(at).id);
            }
            sql.push_str(") ORDER BY id FOR UPDATE");
            let rows = self.rows(&sql).await?;
            self.compare_rows(join, &rows)?;
            join.absent_before(end);
        }
        Ok(())
    }

    fn compare_rows(&self, join: &mut Join<'_>, rows: &[Row]) -> Result<()> {
        for row in rows {
            let (name, time) = (self.maybe_column(row, 1)?, self.maybe_column(row, 2)?);
            join.row(self.column(row, 0)?, |user| {
                name == Some(user.name.as_bytes()) && time == Some(user.time_of_start.as_bytes())
            });
        }
        Ok(())
    }

    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>> {
        let reply = self.run_users(Statement::Text(sql)).await;
        reply.map(|reply| reply.rows).map_err(|error| self.explain(error))
    }

    fn id(&self, row: Option<&Row>) -> Result<Option<String>> {
        let Some(row) = row else { return Ok(None) };
        let id = String::from_utf8(self.column(row, 0)?.to_vec());
        id.map(Some).map_err(|_| self.not_text())
    }

    fn column<'r>(&self, row: &'r Row, index: usize) -> Result<&'r [u8]> {
        self.maybe_column(row, index)?.ok_or_else(|| self.not_text())
    }

    fn maybe_column<'r>(&self, row: &'r Row, index: usize) -> Result<Option<&'r [u8]>> {
        match row.as_ref(index) {
            Some(Value::Bytes(text)) => Ok(Some(text)),
            Some(Value::NULL) => Ok(None),
            _ => Err(self.not_text()),
        }
    }

    fn not_text(&self) -> Error {
        let Server { table, place, .. } = &*self.server;
        let doing = format!("reading users in {table} on {place}: a row is not text in three columns");
        Error::fatal("store_failed", doing).next("run: userdata db init")
    }
}
