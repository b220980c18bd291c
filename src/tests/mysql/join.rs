//! The table is read beside a block where that pays; what is stored and counted is the same whether or not it was, and
//! whoever else writes meanwhile.

use mysql_async::{Conn, prelude::Queryable};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use userdata::{
    error::Kind,
    rows::{Existing, User, UserBlock},
    store::{
        mysql::MySql,
        session::{Applied, Database, Lane},
    },
};

use crate::server::{Server, Table, block};

crate::on_both! {
    any_table_and_any_block_give_what_a_map_would
    pages_that_end_with_the_block_or_the_table_lose_nothing
    what_others_add_after_the_look_counts_as_theirs
    what_others_add_while_rows_are_replaced_is_seen
    what_others_delete_after_the_look_was_there
    what_others_change_while_rows_are_replaced_is_done_again
    rows_outside_the_file_are_not_locked
}

crate::alone_on_both! {
    what_is_there_already_is_not_sent
    a_table_far_denser_than_the_file_is_hardly_read
    an_empty_table_is_looked_at_once_a_block
    ids_that_look_alike_are_told_apart_while_joining
}

pub const BOTH: [Existing; 2] = [Existing::Keep, Existing::Replace];

pub async fn store(database: &MySql, users: UserBlock, existing: Existing) -> userdata::error::Result<Applied> {
    let mut session = database.begin(Lane::Work).await?;
    let applied = session.store_users(users, existing).await?;
    session.commit().await?;
    Ok(applied)
}

pub fn users<'u>(ids: impl IntoIterator<Item = &'u String>, name: &str) -> UserBlock {
    let mut block = UserBlock::default();
    ids.into_iter().for_each(|id| block.push(User { id, name, time_of_start: "t" }, 1, false));
    block
}

/// Every `step`-th of so many ids.
pub fn ids(all: usize, step: usize) -> Vec<String> {
    (0..all).step_by(step).map(|number| format!("{number:07}")).collect()
}

/// How often the server did something, counted on one connection: others' look-ups while connecting count as well.
struct Counted {
    conn: Conn,
}

impl Counted {
    async fn on(server: &Server) -> Self {
        Self { conn: server.root().await }
    }

    async fn now(&mut self, name: &str) -> u64 {
        let sql = format!("SHOW GLOBAL STATUS LIKE '{name}'");
        let (_, count): (String, u64) = self.conn.query_first(sql).await.unwrap().unwrap();
        count
    }
}

async fn what_is_there_already_is_not_sent(server: Server) {
    let database = server.initialized().await;
    let mut counted = Counted::on(&server).await;
    for existing in BOTH {
        store(&database, users(&ids(300, 1), "old"), existing).await.unwrap();
        let before = counted.now("Com_load").await;
        let applied = store(&database, users(&ids(300, 3), "old"), existing).await.unwrap();
        assert_eq!(applied, Applied::default());
        assert_eq!(counted.now("Com_load").await, before);
    }
    server.dropped().await;
}

async fn a_table_far_denser_than_the_file_is_hardly_read(server: Server) {
    for existing in BOTH {
        let database = server.initialized().await;
        store(&database, users(&ids(20_000, 1), "old"), Existing::Keep).await.unwrap();
        let mut counted = Counted::on(&server).await;
        // Each block spans the whole table, and half of its users are there.
        let mut some: Vec<String> = ids(20_000, 100).into_iter().flat_map(|id| [format!("{id}+"), id]).collect();
        some.sort_unstable();
        let mut selects = Vec::new();
        for round in 0..3 {
            let before = counted.now("Com_select").await;
            let name = format!("new {round}");
            let applied = store(&database, users(&some, &name), existing).await.unwrap();
            let expected = match (round, existing) {
                (0, Existing::Keep) => Applied { inserted: 200, replaced: 0 },
                (0, Existing::Replace) => Applied { inserted: 200, replaced: 200 },
                (_, Existing::Keep) => Applied::default(),
                (_, Existing::Replace) => Applied { inserted: 0, replaced: 400 },
            };
            assert_eq!(applied, expected, "{existing:?}, round {round}");
            selects.push(counted.now("Com_select").await - before);
        }
        // One page of the table; then the next block goes without one. 400 ids are one look-up.
        let look_ups = u64::from(existing == Existing::Replace);
        assert_eq!(selects, [1 + look_ups, look_ups, 1 + look_ups], "{existing:?}");
        server.run("TRUNCATE DB.userinfo").await;
    }
    server.dropped().await;
}

async fn an_empty_table_is_looked_at_once_a_block(server: Server) {
    let database = server.initialized().await;
    let mut counted = Counted::on(&server).await;
    for existing in BOTH {
        // The first connects.
        store(&database, users(&[format!("{existing:?}")], "n"), existing).await.unwrap();
        let (all, before) = (ids(12_000, 1), counted.now("Com_select").await);
        for some in all.chunks(6000) {
            store(&database, users(some, "n"), existing).await.unwrap();
        }
        assert_eq!(counted.now("Com_select").await - before, 2, "{existing:?}");
        server.run("TRUNCATE DB.userinfo").await;
    }
    server.dropped().await;
}

async fn any_table_and_any_block_give_what_a_map_would(server: Server) {
    use std::collections::BTreeMap;
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..60 {
        // A program of its own, which has not learned anything yet.
        let database = server.initialized().await;
        let density = random.random_range(0.0..1.0);
        let there: BTreeMap<String, &str> =
            ids(60, 1).into_iter().filter(|_| random.random_bool(density)).map(|id| (id, "old")).collect();
        store(&database, users(there.keys(), "old"), Existing::Keep).await.unwrap();
        for existing in BOTH {
            let mut expected: BTreeMap<String, &str> = BTreeMap::new();
            for (id, name, _) in server.users().await {
                expected.insert(id, if name.as_deref() == Some("old") { "old" } else { "new" });
            }
            let share = random.random_range(0.0..1.0);
            let (mut sent, mut applied) = (UserBlock::default(), Applied::default());
            let chosen: Vec<String> = ids(60, 1).into_iter().filter(|_| random.random_bool(share)).collect();
            for id in &chosen {
                let name = if random.random_bool(0.5) { "old" } else { "new" };
                sent.push(User { id, name, time_of_start: "t" }, 1, false);
                match expected.get(id) {
                    None => applied.inserted += 1,
                    Some(before) if existing == Existing::Keep || *before == name => continue,
                    Some(_) => applied.replaced += 1,
                }
                expected.insert(id.clone(), name);
            }
            let outcome = store(&database, sent, existing).await.unwrap();
            assert_eq!(outcome, applied, "seed {seed}, round {round}, {existing:?}");
            let expected = expected.into_iter().map(|(id, name)| (id, Some(name.into()), Some("t".into())));
            assert_eq!(server.users().await, expected.collect::<Table>(), "seed {seed}, round {round}, {existing:?}");
        }
        server.run("TRUNCATE DB.userinfo").await;
    }
    server.dropped().await;
}

async fn pages_that_end_with_the_block_or_the_table_lose_nothing(server: Server) {
    // A block of 10,000 is read in pages of 5,000.
    let all = ids(10_000, 1);
    for there in [4999, 5000, 5001, 9999, 10_000] {
        for existing in BOTH {
            let database = server.initialized().await;
            store(&database, users(&all[..there], "n"), Existing::Keep).await.unwrap();
            let applied = store(&database, users(&all, "n"), existing).await.unwrap();
            let inserted = (all.len() - there) as u64;
            assert_eq!(applied, Applied { inserted, replaced: 0 }, "{there} there, {existing:?}");
            assert_eq!(server.number("SELECT COUNT(*) FROM DB.userinfo").await, 10_000);
            server.run("TRUNCATE DB.userinfo").await;
        }
    }
    server.dropped().await;
}

/// Statements that add the id "held" wait until the lock is given back.
async fn held(server: &Server) -> Conn {
    let sql = "CREATE TRIGGER DB.hold BEFORE INSERT ON DB.userinfo FOR EACH ROW \
               BEGIN IF NEW.id = 'held' THEN SET @held = GET_LOCK(DATABASE(), 60); END IF; END";
    server.run(sql).await;
    let mut other = server.root().await;
    other.query_drop(format!("USE {}", server.database)).await.unwrap();
    other.query_drop("DO GET_LOCK(DATABASE(), 0)").await.unwrap();
    other
}

const LET_GO: &str = "DO RELEASE_LOCK(DATABASE())";

/// Stores a block in which "held" comes first; `meanwhile` happens after the table was looked at.
async fn stored_while(server: &Server, users: UserBlock, existing: Existing, meanwhile: &str) -> Applied {
    let database = server.initialized().await;
    let mut other = held(server).await;
    let storing = tokio::spawn(async move { store(&database, users, existing).await });
    server.until_held(1).await;
    other.query_drop(meanwhile).await.unwrap();
    other.query_drop(LET_GO).await.unwrap();
    storing.await.unwrap().unwrap()
}

async fn what_others_add_after_the_look_counts_as_theirs(server: Server) {
    let ours = block([("held", "ours", "t"), ("i", "ours", "t"), ("j", "ours", "t")]);
    let theirs = "INSERT INTO userinfo VALUES ('i', 'theirs', 't')";
    let applied = stored_while(&server, ours, Existing::Keep, theirs).await;
    assert_eq!(applied, Applied { inserted: 2, replaced: 0 });
    assert!(server.users().await.contains(&("i".into(), Some("theirs".into()), Some("t".into()))));
    server.dropped().await;
}

async fn what_others_add_while_rows_are_replaced_is_seen(server: Server) {
    let ours = block([("held", "n", "t"), ("i", "ours", "t"), ("j", "n", "t"), ("k", "n", "t")]);
    // One that differs, and one that is equal.
    let theirs = "INSERT INTO userinfo VALUES ('i', 'theirs', 't'), ('j', 'n', 't')";
    let applied = stored_while(&server, ours.clone(), Existing::Replace, theirs).await;
    assert_eq!(applied, Applied { inserted: 2, replaced: 1 });
    assert_eq!(server.users().await, crate::server::table(&ours));
    server.dropped().await;
}

async fn what_others_delete_after_the_look_was_there(server: Server) {
    let database = server.initialized().await;
    store(&database, block([("i", "n", "t")]), Existing::Keep).await.unwrap();
    let ours = block([("held", "n", "t"), ("i", "n", "t")]);
    let applied = stored_while(&server, ours, Existing::Keep, "DELETE FROM userinfo WHERE id = 'i'").await;
    assert_eq!(applied, Applied { inserted: 1, replaced: 0 });
    assert_eq!(server.users().await.len(), 1);
    server.dropped().await;
}

async fn what_others_change_while_rows_are_replaced_is_done_again(server: Server) {
    let database = server.initialized().await;
    for meanwhile in ["DELETE FROM userinfo WHERE id = 'i'", "UPDATE userinfo SET name = 'new' WHERE id = 'i'"] {
        server.run("DELETE FROM DB.userinfo").await;
        store(&database, block([("i", "old", "t")]), Existing::Keep).await.unwrap();
        let mut other = held(&server).await;
        let ours = block([("held", "new", "t"), ("i", "new", "t")]);
        let (theirs, sent) = (server.opened(), ours.clone());
        let storing = tokio::spawn(async move { store(&theirs, sent, Existing::Replace).await });
        server.until_held(1).await;
        other.query_drop(meanwhile).await.unwrap();
        other.query_drop(LET_GO).await.unwrap();
        let error = storing.await.unwrap().unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Transient, "concurrent_write"), "{error}");
        server.run("DROP TRIGGER DB.hold").await;
        // Nothing of it is kept; done again it sees what is there now.
        assert!(server.users().await.iter().all(|(id, ..)| id == "i"));
        let again = store(&database, ours.clone(), Existing::Replace).await.unwrap();
        assert_eq!(again.inserted + again.replaced, if meanwhile.starts_with("DELETE") { 2 } else { 1 });
        assert_eq!(server.users().await, crate::server::table(&ours));
    }
    server.dropped().await;
}

async fn rows_outside_the_file_are_not_locked(server: Server) {
    let database = server.initialized().await;
    store(&database, users(&ids(10, 1), "old"), Existing::Keep).await.unwrap();
    for existing in BOTH {
        let mut session = database.begin(Lane::Work).await.unwrap();
        session.store_users(users(&ids(10, 2), "new"), existing).await.unwrap();
        // It would wait for as long as the transaction is open.
        let theirs = format!("UPDATE DB.userinfo SET name = '{existing:?}' WHERE id = '0000001'");
        tokio::time::timeout(std::time::Duration::from_secs(20), server.run(&theirs)).await.expect("not locked");
        session.commit().await.unwrap();
    }
    server.dropped().await;
}

async fn ids_that_look_alike_are_told_apart_while_joining(server: Server) {
    let alike = [
        "a",
        "A",
        "á",
        "a\u{301}",
        "a ",
        "a  ",
        " a",
        "a\t",
        "a\n",
        "a\r\n",
        "\\",
        "\\\\",
        "\\N",
        "'",
        "''",
        "\"",
        "`",
        "ß",
        "ss",
        "ẞ",
        "i",
        "I",
        "İ",
        "ı",
        "i\u{307}",
        "ς",
        "σ",
        "Σ",
        "\u{1F600}",
        "\u{FF5E}",
        "\u{AD}x",
        "x",
        "\u{10FFFF}",
        "%",
        "_",
        "e\u{301}",
        "é",
        "NULL",
        "\u{1a}",
        "\u{FEFF}",
    ];
    let mut alike: Vec<String> = alike.map(String::from).into();
    alike.sort_unstable();
    let names = ["\\N", "i\u{307}", "σίσυφος", "a\tb\nc\\", "", "\0"];
    let named = |some: &[String], shift: usize| {
        let mut block = UserBlock::default();
        for (at, id) in some.iter().enumerate() {
            block.push(User { id, name: names[(at + shift) % names.len()], time_of_start: "t" }, 1, false);
        }
        block
    };
    let odd: Vec<String> = alike.iter().skip(1).step_by(2).cloned().collect();
    let (all, half) = (alike.len() as u64, odd.len() as u64);
    for allowed in [true, false] {
        server.allow_load_data(allowed).await;
        for existing in BOTH {
            let database = server.initialized().await;
            let applied = store(&database, users(&odd, "other"), existing).await.unwrap();
            assert_eq!(applied, Applied { inserted: half, replaced: 0 });
            let replaced = if existing == Existing::Replace { half } else { 0 };
            let applied = store(&database, named(&alike, 0), existing).await.unwrap();
            assert_eq!(applied, Applied { inserted: all - half, replaced }, "LOAD {allowed}, {existing:?}");
            // Equal rows are seen as equal, byte by byte, and different ones as different.
            store(&database, named(&alike, 1), Existing::Replace).await.unwrap();
            assert_eq!(server.users().await, crate::server::table(&named(&alike, 1)));
            let applied = store(&database, named(&alike, 1), Existing::Replace).await.unwrap();
            assert_eq!(applied, Applied::default());
            server.run("TRUNCATE DB.userinfo").await;
        }
    }
    server.allow_load_data(true).await;
    server.dropped().await;
}
