//! What makes a load begin a transaction again: each said by the server itself. After it the store connects by name and
//! goes on, and counts stay exact.

use std::{sync::Arc, time::Duration};

use mysql_async::prelude::Queryable;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use userdata::{
    error::{Error, Kind, Service},
    rows::{Existing, UserBlock},
    store::{
        Bounds, Store,
        ledger::Ledger,
        mysql::MySql,
        session::{Applied, Database, Lane, Session},
    },
    upload::{Claim, Cleaned},
};

use crate::server::{LEASE, Server, block, upload};

crate::on_both! {
    of_two_that_wait_for_each_other_one_goes_on
    a_lock_that_is_not_given_up_in_time_is_passing
    a_killed_statement_is_passing
    a_commit_whose_answer_is_lost_is_not_done_twice
}

crate::alone_on_both! {
    a_server_that_takes_no_writes_is_left_and_connected_to_anew
    too_many_connections_are_waited_for
}

#[track_caller]
fn passing<T>(outcome: Result<T, Error>, words: &str) {
    let error = outcome.err().expect("it is refused");
    assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

async fn begun(database: &MySql) -> Box<dyn Session> {
    database.begin(Lane::Work).await.unwrap()
}

fn one(id: &str) -> UserBlock {
    block([(id, "n", "t")])
}

async fn of_two_that_wait_for_each_other_one_goes_on(server: Server) {
    let database = server.initialized().await;
    for existing in [Existing::Keep, Existing::Replace] {
        let (mut first, mut second) = (begun(&database).await, begun(&database).await);
        first.store_users(one("a"), existing).await.unwrap();
        second.store_users(one("b"), existing).await.unwrap();
        let waiting = tokio::spawn(async move { (first.store_users(one("b"), existing).await, first) });
        let other = second.store_users(one("a"), existing).await;
        // The server chooses whom it breaks off.
        if other.is_ok() {
            let (broken, _) = waiting.await.unwrap();
            passing(broken, "1213");
            second.commit().await.unwrap();
        } else {
            passing(other, "1213");
            drop(second);
            let (went_on, first) = waiting.await.unwrap();
            assert_eq!(went_on.unwrap(), Applied { inserted: 1, replaced: 0 });
            first.commit().await.unwrap();
        }
        assert_eq!(server.users().await.len(), 2);
        server.run("DELETE FROM DB.userinfo").await;
    }
    server.dropped().await;
}

async fn a_lock_that_is_not_given_up_in_time_is_passing(server: Server) {
    let database = server.initialized().await;
    let mut other = begun(&database).await;
    other.store_users(one("a"), Existing::Keep).await.unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        let mut session = begun(&database).await;
        session.execute("SET SESSION innodb_lock_wait_timeout = 1", &[]).await.unwrap();
        passing(session.store_users(one("a"), existing).await, "1205");
        over(session.commit().await);
    }
    other.commit().await.unwrap();
    assert_eq!(server.users().await.len(), 1);
    server.dropped().await;
}

/// Nothing is committed of a transaction in which an error occurred.
#[track_caller]
fn over(outcome: Result<(), Error>) {
    assert_eq!(outcome.unwrap_err().code, "transaction_ended");
}

async fn a_killed_statement_is_passing(server: Server) {
    let database = server.initialized().await;
    let mut other = begun(&database).await;
    other.store_users(one("b"), Existing::Keep).await.unwrap();
    let mut session = begun(&database).await;
    let connection = session.query("SELECT CONNECTION_ID()", &[]).await.unwrap();
    let userdata::store::session::Value::Int(connection) = connection[0][0] else { panic!("{connection:?}") };
    let users = block([("a", "n", "t"), ("b", "n", "t")]);
    let storing = tokio::spawn(async move { session.store_users(users, Existing::Keep).await });
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE id = {connection} AND info LIKE 'LOAD DATA%'"
    );
    server.until("the statement to run", &sql).await;
    server.run(&format!("KILL QUERY {connection}")).await;
    passing(storing.await.unwrap(), "1317");
    other.commit().await.unwrap();
    assert_eq!(server.users().await.len(), 1);
    server.dropped().await;
}

async fn a_server_that_takes_no_writes_is_left_and_connected_to_anew(server: Server) {
    let database = server.initialized().await;
    let mut session = begun(&database).await;
    let mut outcomes = Vec::new();
    for existing in [Existing::Keep, Existing::Replace] {
        server.run("SET GLOBAL read_only = 1").await;
        outcomes.push(session.store_users(one("a"), existing).await);
        server.run("SET GLOBAL read_only = 0").await;
        drop(session);
        // Whatever the name leads to now is connected to.
        server.until_closed().await;
        session = begun(&database).await;
    }
    outcomes.into_iter().for_each(|outcome| passing(outcome, "1290"));
    session.store_users(one("a"), Existing::Keep).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(server.users().await.len(), 1);
    server.dropped().await;
}

async fn too_many_connections_are_waited_for(server: Server) {
    let database = server.initialized().await;
    let mut root = server.root().await;
    let (_, most): (String, u64) =
        root.query_first("SHOW GLOBAL VARIABLES LIKE 'max_connections'").await.unwrap().unwrap();
    // The smallest limit that both servers take, filled up.
    root.query_drop("SET GLOBAL max_connections = 10").await.unwrap();
    let mut others = Vec::new();
    while let Ok(other) = mysql_async::Conn::new(server.options()).await {
        others.push(other);
    }
    let outcome = database.begin(Lane::Work).await;
    root.query_drop(format!("SET GLOBAL max_connections = {most}")).await.unwrap();
    passing(outcome, "1040");
    root.query_drop("ALTER USER userdata WITH MAX_USER_CONNECTIONS 1").await.unwrap();
    // Only those that come after it are counted.
    others.push(mysql_async::Conn::new(server.options()).await.unwrap());
    let outcome = database.begin(Lane::Work).await;
    root.query_drop("ALTER USER userdata WITH MAX_USER_CONNECTIONS 0").await.unwrap();
    passing(outcome, "1226");
    drop(others);
    begun(&database).await.commit().await.unwrap();
    server.dropped().await;
}

/// A way to the server on which the answer to the first COMMIT is lost, and the connection with it.
async fn way_that_loses_an_answer(server: &Server) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, address) = (listener.local_addr().unwrap().port(), format!("{}:{}", server.host, server.port));
    let lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lost = lost.clone();
            let upstream = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = upstream.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    // A command's packet: length, number, COM_QUERY, text.
                    let commits = buffer[..read].get(4..).is_some_and(|text| text == b"\x03COMMIT");
                    if commits && !lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
                        back.abort();
                        let _ = back.await;
                        to_server.write_all(&buffer[..read]).await.unwrap();
                        // The server ends it after it has done what it was told.
                        to_server.shutdown().await.unwrap();
                        return;
                    }
                    if to_server.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn loading(store: &dyn Store) -> Claim {
    let new = upload();
    let claimed = store.register_claimed(&new, "one", Duration::from_secs(60)).await.unwrap();
    let claim = claimed.expect("it is new");
    store.archived(&claim, None).await.unwrap();
    store.split(&claim, &Cleaned::default(), 1, &[Bounds::default()]).await.unwrap();
    claim
}

async fn a_commit_whose_answer_is_lost_is_not_done_twice(server: Server) {
    let claim = loading(&Ledger::new(server.initialized().await)).await;
    let port = way_that_loses_an_answer(&server).await;
    let config = userdata::config::Mysql { host: "127.0.0.1".into(), port, ..server.config() };
    let store = Ledger::new(MySql::new(&config, LEASE).unwrap());
    let mut load = store.begin(&claim, 0, Existing::Keep).await.unwrap();
    load.put(block([("a", "n", "t"), ("b", "n", "t")])).await.unwrap();
    passing(load.commit(false).await, "committing");
    // Under the lock the watermark says that it was done.
    let mut load = store.begin(&claim, 0, Existing::Keep).await.unwrap();
    assert_eq!(load.part().watermark.as_deref(), Some(&b"b"[..]));
    assert_eq!((load.part().stored.inserted, load.part().stored.good), (2, 2));
    load.put(block([("c", "n", "t")])).await.unwrap();
    assert_eq!(load.commit(true).await.unwrap().stored.inserted, 3);
    assert_eq!(server.users().await.len(), 3);
    server.dropped().await;
}
