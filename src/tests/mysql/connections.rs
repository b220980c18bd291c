//! Connections end in every way; what was not committed is never there, and the next one works.

use std::time::{Duration, SystemTime};

use mysql_async::prelude::Queryable;
use userdata::{
    error::{Kind, Service},
    rows::Existing,
    store::{
        mysql::MySql,
        session::{DUPLICATE_KEY, Database, Lane, Value},
    },
};

use crate::server::{LEASE, Server, block};

crate::on_both! {
    a_killed_connection_stores_nothing_and_is_passing
    killed_idle_connections_are_replaced_unseen
    a_silent_session_is_ended_by_the_server
    heartbeats_never_wait_for_loads
    an_existing_key_is_told_apart_and_the_transaction_goes_on
    after_any_other_error_the_transaction_is_over
    values_of_every_kind_come_back_as_they_went
    the_databases_clock_is_in_whole_milliseconds
    a_refused_login_says_who_where_and_what_to_do
    a_server_that_is_not_there_is_named
    a_missing_database_says_what_to_run
    a_server_without_a_trusted_certificate_is_refused_when_tls_is_required
}

crate::alone_on_both! {
    a_transaction_dropped_or_cancelled_leaves_nothing_behind
}

async fn killed(server: &Server) {
    let mut root = server.root().await;
    for id in server.connections().await {
        // It may have ended meanwhile.
        let _ = root.query_drop(format!("KILL CONNECTION {id}")).await;
    }
    server.until_closed().await;
}

async fn a_killed_connection_stores_nothing_and_is_passing(server: Server) {
    let database = server.initialized().await;
    for early in [true, false] {
        let mut session = database.begin(Lane::Work).await.unwrap();
        session.store_users(block([("1", "n", "t")]), Existing::Keep).await.unwrap();
        killed(&server).await;
        let error = if early {
            session.store_users(block([("2", "n", "t")]), Existing::Keep).await.unwrap_err()
        } else {
            session.commit().await.unwrap_err()
        };
        assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)), "{error}");
        assert!(error.to_string().contains(&format!("MySQL at {}:{}", server.host, server.port)), "{error}");
    }
    assert_eq!(server.users().await, []);
    stores(&database, &server).await;
    server.dropped().await;
}

/// A new transaction works, and commits its own rows alone.
async fn stores(database: &MySql, server: &Server) {
    let mut session = database.begin(Lane::Work).await.unwrap();
    session.store_users(block([("works", "n", "t")]), Existing::Keep).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(server.users().await, [("works".into(), Some("n".into()), Some("t".into()))]);
}

async fn killed_idle_connections_are_replaced_unseen(server: Server) {
    let database = server.initialized().await;
    let sessions = [database.begin(Lane::Work).await.unwrap(), database.begin(Lane::Work).await.unwrap()];
    for session in sessions {
        session.commit().await.unwrap();
    }
    assert_eq!(server.connections().await.len(), 2);
    killed(&server).await;
    assert_eq!(database.read("SELECT 7", &[]).await.unwrap(), [[Value::Int(7)]]);
    killed(&server).await;
    stores(&database, &server).await;
    server.dropped().await;
}

async fn a_transaction_dropped_or_cancelled_leaves_nothing_behind(server: Server) {
    let database = std::sync::Arc::new(server.initialized().await);
    let mut session = database.begin(Lane::Work).await.unwrap();
    session.store_users(block([("dropped", "n", "t")]), Existing::Keep).await.unwrap();
    drop(session);
    // One that waits for somebody else's lock, in the midst of its statement.
    let mut other = server.root().await;
    other
        .query_drop(format!("USE {}; BEGIN; INSERT INTO userinfo VALUES ('1','n','t')", server.database))
        .await
        .unwrap();
    for (earlier, existing) in [Existing::Keep, Existing::Replace].into_iter().enumerate() {
        let theirs = database.clone();
        let storing = tokio::spawn(async move {
            let mut session = theirs.begin(Lane::Work).await.unwrap();
            session.store_users(block([("0", "n", "t"), ("1", "n", "t")]), existing).await
        });
        // A server does not notice that its client is gone while it waits for a lock.
        server.until_locked(earlier as u64 + 1).await;
        storing.abort();
        assert!(storing.await.unwrap_err().is_cancelled());
        // Whoever comes next gets its own answers.
        for number in 0..20 {
            assert_eq!(database.read("SELECT ?", &[Value::Int(number)]).await.unwrap(), [[Value::Int(number)]]);
        }
    }
    other.query_drop("ROLLBACK").await.unwrap();
    // Reads what others have locked only after they have ended.
    assert_eq!(server.number("SELECT COUNT(*) FROM DB.userinfo LOCK IN SHARE MODE").await, 0);
    stores(&database, &server).await;
    server.dropped().await;
}

async fn a_silent_session_is_ended_by_the_server(server: Server) {
    server.initialized().await;
    let database = MySql::new(&server.config(), Duration::from_secs(1)).unwrap();
    let mut session = database.begin(Lane::Work).await.unwrap();
    session.store_users(block([("1", "n", "t")]), Existing::Keep).await.unwrap();
    server.until_closed().await;
    assert_eq!(session.commit().await.unwrap_err().kind, Kind::Transient);
    stores(&database, &server).await;
    server.dropped().await;
}

async fn heartbeats_never_wait_for_loads(server: Server) {
    let database = server.initialized().await;
    let mut loads = Vec::new();
    // Two connections are configured; two more are for the ledger.
    for _ in 0..4 {
        loads.push(database.begin(Lane::Work).await.unwrap());
    }
    let mut beat = database.begin(Lane::Heartbeat).await.unwrap();
    assert_eq!(beat.query("SELECT 1", &[]).await.unwrap(), [[Value::Int(1)]]);
    beat.commit().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), database.begin(Lane::Work)).await.is_err());
    drop(loads);
    database.begin(Lane::Work).await.unwrap();
    server.dropped().await;
}

async fn an_existing_key_is_told_apart_and_the_transaction_goes_on(server: Server) {
    let database = server.initialized().await;
    let mut session = database.begin(Lane::Work).await.unwrap();
    let sql = "INSERT INTO userdata_schema (version, applied_ms) VALUES (?, 0)";
    assert_eq!(session.execute(sql, &[Value::Int(77)]).await.unwrap(), 1);
    assert_eq!(session.execute(sql, &[Value::Int(77)]).await.unwrap_err().code, DUPLICATE_KEY);
    assert_eq!(session.execute("UPDATE userdata_schema SET applied_ms = 0 WHERE version = 77", &[]).await.unwrap(), 0);
    session.commit().await.unwrap();
    assert_eq!(server.number("SELECT COUNT(*) FROM DB.userdata_schema WHERE version = 77").await, 1);
    server.dropped().await;
}

async fn after_any_other_error_the_transaction_is_over(server: Server) {
    let database = server.initialized().await;
    let mut session = database.begin(Lane::Work).await.unwrap();
    session.execute("INSERT INTO userdata_schema VALUES (77, 0)", &[]).await.unwrap();
    let error = session.execute("INSERT INTO userdata_nothing VALUES (1)", &[]).await.unwrap_err();
    assert_eq!(error.kind, Kind::Transient);
    assert_eq!(error.next.as_deref(), Some("run: userdata db init"));
    assert!(session.execute("INSERT INTO userdata_schema VALUES (78, 0)", &[]).await.is_err());
    assert!(session.commit().await.is_err());
    assert_eq!(server.number("SELECT COUNT(*) FROM DB.userdata_schema WHERE version > 70").await, 0);
    server.dropped().await;
}

async fn values_of_every_kind_come_back_as_they_went(server: Server) {
    let database = server.initialized().await;
    server.run("CREATE TABLE DB.kinds (n bigint, t mediumtext, b varbinary(300)) DEFAULT CHARACTER SET utf8mb4").await;
    let bytes: Vec<u8> = (0..=255).collect();
    let rows = [
        vec![Value::Int(i64::MIN), Value::Text("é\0'\\\u{1F600}".into()), Value::Bytes(bytes)],
        vec![Value::Int(i64::MAX), Value::Text(String::new()), Value::Bytes(Vec::new())],
        vec![Value::Null, Value::Null, Value::Null],
    ];
    let mut session = database.begin(Lane::Work).await.unwrap();
    for row in &rows {
        assert_eq!(session.execute("INSERT INTO kinds VALUES (?, ?, ?)", row).await.unwrap(), 1);
        let back = session.query("SELECT n, t, b FROM kinds WHERE n <=> ?", &row[..1]).await.unwrap();
        assert_eq!(back.as_slice(), std::slice::from_ref(row));
    }
    session.execute("DELETE FROM kinds WHERE n IS NULL OR n < 0", &[]).await.unwrap();
    let sums = session.query("SELECT SUM(n), COUNT(*), MAX(n) FROM kinds", &[]).await.unwrap();
    assert_eq!(sums, [[Value::Int(i64::MAX), Value::Int(1), Value::Int(i64::MAX)]]);
    session.commit().await.unwrap();
    server.dropped().await;
}

async fn the_databases_clock_is_in_whole_milliseconds(server: Server) {
    let database = server.initialized().await;
    let sql = format!("SELECT {}", database.now_ms());
    let here = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    let before = here();
    let rows = database.read(&sql, &[]).await.unwrap();
    let Value::Int(there) = rows[0][0] else { panic!("{rows:?}") };
    assert!((before - 1..=here() + 1).contains(&there), "{before} {there}");
    server.dropped().await;
}

async fn a_refused_login_says_who_where_and_what_to_do(server: Server) {
    let mut config = server.config();
    config.password = "wrong-one".into();
    let database = MySql::new(&config, LEASE).unwrap();
    for error in [database.begin(Lane::Work).await.err(), database.init(false).await.err()] {
        let error = error.expect("the login is refused");
        assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)));
        let text = error.to_string();
        let begin =
            format!("connecting to MySQL at {}:{}: ERROR 1045 (28000): Access denied", server.host, server.port);
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.contains("'userdata'@") && !text.contains("wrong-one"), "{text}");
        assert!(error.next.unwrap().contains("[store.mysql]"));
    }
}

async fn a_server_that_is_not_there_is_named(server: Server) {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = userdata::config::Mysql { host: "127.0.0.1".into(), port, ..server.config() };
    let database = MySql::new(&config, LEASE).unwrap();
    let error = database.read("SELECT 1", &[]).await.unwrap_err();
    assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)));
    let text = error.to_string();
    assert!(text.starts_with(&format!("connecting to MySQL at 127.0.0.1:{port}: ")), "{text}");
    assert!(text.contains("refused"), "{text}");
}

async fn a_missing_database_says_what_to_run(server: Server) {
    let error = server.opened().read("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.kind, Kind::Transient);
    assert!(error.to_string().contains(&server.database), "{error}");
    assert_eq!(error.next.as_deref(), Some("run: userdata db init"));
}

async fn a_server_without_a_trusted_certificate_is_refused_when_tls_is_required(server: Server) {
    let mut config = server.config();
    config.tls = userdata::config::MysqlTls::Required;
    let error = MySql::new(&config, LEASE).unwrap().read("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.kind, Kind::Transient);
    // MySQL makes itself a certificate, MariaDB has none.
    let next = error.next.unwrap();
    assert!(next.contains("tls_ca_file") || next.contains("offers no TLS"), "{next}");
}
