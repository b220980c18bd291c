//! Rows go in by LOAD DATA LOCAL or by INSERT, and the counts are exact either way.

use userdata::{
    error::Kind,
    rows::{Existing, UserBlock},
    store::{
        mysql::MySql,
        session::{Applied, Database, Lane},
    },
};

use crate::server::{Server, block, table};

crate::alone_on_both! {
    every_character_arrives_as_it_was_and_each_id_stays_apart
    more_duplicates_than_the_warning_count_holds_are_counted
    replacing_counts_absent_different_and_equal_rows
    what_else_is_known_of_a_replaced_user_stays
    a_value_that_was_cut_to_fit_is_no_duplicate
    rows_go_in_the_way_that_the_server_allows
    a_replacement_waits_for_another_writer_and_sees_what_it_wrote
}

async fn store(database: &MySql, users: &UserBlock, existing: Existing) -> userdata::error::Result<Applied> {
    let mut session = database.begin(Lane::Work).await?;
    let applied = session.store_users(users.clone(), existing).await?;
    session.commit().await?;
    Ok(applied)
}

fn inserted(inserted: u64) -> Applied {
    Applied { inserted, replaced: 0 }
}

/// Both ways, each on a fresh table.
async fn each_way(server: Server, test: impl AsyncFn(&Server, &MySql)) {
    for allowed in [true, false] {
        server.allow_load_data(allowed).await;
        let database = server.initialized().await;
        test(&server, &database).await;
        server.allow_load_data(true).await;
        server.run("DROP TABLE DB.userinfo").await;
    }
    server.dropped().await;
}

async fn every_character_arrives_as_it_was_and_each_id_stays_apart(server: Server) {
    let nasty = [
        "\t",
        "\n",
        "\r",
        "\\",
        "\\N",
        "\\0",
        "N\\",
        "'",
        "\"",
        "`",
        "''",
        "\\'",
        "\u{1a}",
        "a",
        "A",
        "á",
        "a ",
        " a",
        "a\t",
        "ß",
        "ss",
        "ı",
        "i",
        "\u{1F600}",
        "\u{FF5E}",
        "soft\u{AD}hyphen",
        "softhyphen",
        "NULL",
        "%",
        "_",
        ";",
        "-- ",
        "/*",
        "x'); DROP TABLE userinfo; -- ",
        "é",
        "e\u{301}",
        "\u{FEFF}",
        "\u{10FFFF}",
        "a\r\n",
        "?",
        ",",
    ];
    let long = "\u{1F600}".repeat(255);
    let users = block(nasty.into_iter().chain([long.as_str()]).map(|text| (text, text, "2017-03-07T00:30:54.000Z")));
    each_way(server, async |server, database| {
        let all = users.len() as u64;
        assert_eq!(store(database, &users, Existing::Keep).await.unwrap(), inserted(all));
        assert_eq!(server.users().await, table(&users));
        assert_eq!(store(database, &users, Existing::Keep).await.unwrap(), inserted(0));
        assert_eq!(store(database, &users, Existing::Replace).await.unwrap(), inserted(0));
        assert_eq!(server.users().await, table(&users));
        // An empty name is a name, and a NUL in one arrives too.
        let odd = block([("empty", "", "t"), ("nul", "a\0b", "t")]);
        assert_eq!(store(database, &odd, Existing::Replace).await.unwrap(), inserted(2));
        assert!(server.users().await.contains(&("nul".into(), Some("a\0b".into()), Some("t".into()))));
        assert!(server.users().await.contains(&("empty".into(), Some(String::new()), Some("t".into()))));
    })
    .await;
}

async fn more_duplicates_than_the_warning_count_holds_are_counted(server: Server) {
    let ids: Vec<String> = (0..70_010).map(|number| format!("{number:08}")).collect();
    let users = |ids: &[String]| block(ids.iter().map(|id| (id.as_str(), "name", "time")));
    each_way(server, async |server, database| {
        assert_eq!(store(database, &users(&ids[..70_003]), Existing::Keep).await.unwrap(), inserted(70_003));
        assert_eq!(store(database, &users(&ids), Existing::Keep).await.unwrap(), inserted(7));
        assert_eq!(server.number("SELECT COUNT(*) FROM DB.userinfo").await, 70_010);
        assert_eq!(store(database, &UserBlock::default(), Existing::Keep).await.unwrap(), inserted(0));
    })
    .await;
}

async fn replacing_counts_absent_different_and_equal_rows(server: Server) {
    let ids: Vec<String> = (0..2500).map(|number| format!("{number:05}")).collect();
    let first = block(ids[..2000].iter().map(|id| (id.as_str(), "old", "t")));
    // 500 equal, 1,500 that differ, of which one was NULL, and 500 that are absent.
    let second = block(ids.iter().enumerate().map(|(n, id)| (id.as_str(), if n < 500 { "old" } else { "new" }, "t")));
    each_way(server, async |server, database| {
        store(database, &first, Existing::Keep).await.unwrap();
        server.run("UPDATE DB.userinfo SET name = NULL WHERE id = '01999'").await;
        let applied = store(database, &second, Existing::Replace).await.unwrap();
        assert_eq!(applied, Applied { inserted: 500, replaced: 1500 });
        assert_eq!(server.users().await, table(&second));
        assert_eq!(store(database, &second, Existing::Replace).await.unwrap(), inserted(0));
        // Names that differ in case alone differ.
        let shouted = block([("00000", "OLD", "t")]);
        assert_eq!(store(database, &shouted, Existing::Replace).await.unwrap(), Applied { inserted: 0, replaced: 1 });
    })
    .await;
}

async fn what_else_is_known_of_a_replaced_user_stays(server: Server) {
    each_way(server, async |server, database| {
        store(database, &block([("1", "old", "t")]), Existing::Keep).await.unwrap();
        // In another table, which would go with the row.
        server.run("CREATE TABLE DB.visit LIKE DB.userinfo").await;
        server.run("INSERT INTO DB.visit SELECT * FROM DB.userinfo").await;
        server.run("ALTER TABLE DB.visit ADD FOREIGN KEY (id) REFERENCES DB.userinfo (id) ON DELETE CASCADE").await;
        let users = block([("1", "new", "t")]);
        assert_eq!(store(database, &users, Existing::Replace).await.unwrap(), Applied { inserted: 0, replaced: 1 });
        assert_eq!(server.users().await, table(&users));
        assert_eq!(server.number("SELECT COUNT(*) FROM DB.visit").await, 1);
        // In another column.
        server.run("ALTER TABLE DB.userinfo ADD note varchar(20) DEFAULT 'none'").await;
        server.run("UPDATE DB.userinfo SET note = 'called'").await;
        let users = block([("1", "newer", "t"), ("2", "newer", "t")]);
        assert_eq!(store(database, &users, Existing::Replace).await.unwrap(), Applied { inserted: 1, replaced: 1 });
        assert_eq!(server.users().await, table(&users));
        assert_eq!(server.number("SELECT COUNT(*) FROM DB.userinfo WHERE note = 'called'").await, 1);
        assert_eq!(server.number("SELECT COUNT(*) FROM DB.visit").await, 1);
        server.run("DROP TABLE DB.visit").await;
    })
    .await;
}

async fn a_value_that_was_cut_to_fit_is_no_duplicate(server: Server) {
    let users = block([("1", "short", "t"), ("2", "far too long a secret", "t")]);
    each_way(server, async |server, database| {
        server.run("ALTER TABLE DB.userinfo MODIFY name varchar(10)").await;
        for existing in [Existing::Keep, Existing::Replace] {
            let error = store(database, &users, existing).await.unwrap_err();
            assert_eq!(error.kind, Kind::Fatal, "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.to_string().contains("1265") || error.to_string().contains("1406"), "{error}");
        }
        assert_eq!(server.users().await, []);
    })
    .await;
}

async fn rows_go_in_the_way_that_the_server_allows(server: Server) {
    let database = server.initialized().await;
    let before = server.status("Com_insert").await;
    let users = |id| block([(id, "name", "time")]);
    server.allow_load_data(true).await;
    assert_eq!(store(&database, &users("1"), Existing::Keep).await.unwrap(), inserted(1));
    assert_eq!(server.status("Com_insert").await, before, "LOAD DATA was allowed");
    // Forbidden while the program runs: it goes on by INSERT, within the same transaction.
    server.allow_load_data(false).await;
    assert_eq!(store(&database, &users("2"), Existing::Keep).await.unwrap(), inserted(1));
    server.allow_load_data(true).await;
    assert_eq!(server.status("Com_insert").await, before + 1);
    assert_eq!(server.users().await.len(), 2);
    server.dropped().await;
}

async fn a_replacement_waits_for_another_writer_and_sees_what_it_wrote(server: Server) {
    use mysql_async::prelude::Queryable;
    let database = server.initialized().await;
    let mut other = server.root().await;
    other.query_drop(format!("USE {}", server.database)).await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("INSERT INTO userinfo VALUES ('1', 'theirs', 't')").await.unwrap();
    let replacing = tokio::spawn(async move {
        let users = block([("1", "ours", "t"), ("2", "ours", "t")]);
        store(&database, &users, Existing::Replace).await
    });
    server.until_locked(1).await;
    other.query_drop("COMMIT").await.unwrap();
    assert_eq!(replacing.await.unwrap().unwrap(), Applied { inserted: 1, replaced: 1 });
    server.dropped().await;
}
