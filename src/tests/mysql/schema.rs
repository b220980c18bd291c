//! `db init`: what it makes, what it leaves alone, what it says.

use userdata::{
    config::MysqlTls,
    error::Kind,
    store::{
        mysql::MySql,
        session::{Database, Lane},
    },
};

use crate::server::{LEASE, Server, text};

crate::on_both! {
    a_second_run_finds_everything
    runs_at_the_same_time_do_not_disturb_each_other
    the_printed_statements_make_the_same
    an_old_table_is_told_of_and_changed_only_when_asked
    a_table_of_something_else_is_left_alone
    rules_that_no_row_of_ours_can_break_are_left_alone
    a_missing_user_table_is_waited_for
    any_name_can_be_quoted
    settings_that_contradict_themselves_are_refused
}

async fn a_second_run_finds_everything(server: Server) {
    let database = server.opened();
    let said = database.init(false).await.unwrap().join("\n");
    for word in ["Created database", "Created table userinfo", "Created the ledger, version 1", "userdata_upload_part"]
    {
        assert!(said.contains(word), "{said}");
    }
    database.check_table().await.unwrap();
    let said = database.init(true).await.unwrap().join("\n");
    assert!(!said.contains("Created") && !said.contains("Changed"), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
    server.dropped().await;
}

async fn runs_at_the_same_time_do_not_disturb_each_other(server: Server) {
    let runs: Vec<_> = (0..6).map(|_| server.opened()).collect();
    let runs = runs.into_iter().map(|database| tokio::spawn(async move { database.init(false).await }));
    let mut created = 0;
    for run in runs.collect::<Vec<_>>() {
        let said = run.await.unwrap().unwrap().join("\n");
        created += said.matches("Created table userinfo").count();
    }
    assert_eq!(created, 1);
    server.opened().check_table().await.unwrap();
    server.dropped().await;
}

async fn the_printed_statements_make_the_same(server: Server) {
    let mut sql = server.opened().schema();
    assert!(sql.contains("utf8mb4_nopad_bin wherever utf8mb4_0900_bin stands"), "{sql}");
    if server.number("SELECT VERSION() LIKE '%MariaDB%'").await == 1 {
        sql = sql.replace("utf8mb4_0900_bin", "utf8mb4_nopad_bin");
    }
    server.run(&sql).await;
    let database = server.opened();
    database.check_table().await.unwrap();
    let said = database.init(false).await.unwrap().join("\n");
    assert!(!said.contains("Created"), "{said}");
    server.dropped().await;
}

async fn an_old_table_is_told_of_and_changed_only_when_asked(server: Server) {
    let old = [
        "(id varchar(255) primary key, name varchar(255), time_of_start varchar(255)) DEFAULT CHARACTER SET latin1",
        "(id varchar(255) primary key, name varchar(255), time_of_start varchar(255)) ENGINE = MyISAM \
         DEFAULT CHARACTER SET utf8mb3",
        "(id varchar(100) not null, name varchar(99) not null, time_of_start text) DEFAULT CHARACTER SET utf8mb4 \
         COLLATE utf8mb4_bin",
    ];
    let database = server.initialized().await;
    for columns in old {
        server.run("DROP TABLE DB.userinfo").await;
        server.run(&format!("CREATE TABLE DB.userinfo {columns}")).await;
        server.run("INSERT INTO DB.userinfo VALUES ('é', 'ü', 't'), ('b', 'B', 't')").await;
        let before = text(&server.rows("SHOW CREATE TABLE DB.userinfo").await[0], 1);
        let error = database.check_table().await.unwrap_err();
        assert_eq!(error.kind, Kind::Transient);
        assert!(error.to_string().contains("column id is varchar"), "{error}");
        assert!(error.next.unwrap().contains("db init --migrate"));
        let said = database.init(false).await.unwrap().join("\n");
        assert!(said.contains("Nothing was changed in it") && said.contains("ALTER TABLE `userinfo`"), "{said}");
        assert_eq!(text(&server.rows("SHOW CREATE TABLE DB.userinfo").await[0], 1), before);
        let said = database.init(true).await.unwrap().join("\n");
        assert!(
            said.contains("Changed table userinfo (column") || said.contains("Changed table userinfo (its"),
            "{said}"
        );
        database.check_table().await.unwrap();
        let users = server.users().await;
        assert_eq!(users.len(), 2);
        assert!(users.contains(&("é".into(), Some("ü".into()), Some("t".into()))), "{users:?}");
        // Ids that were one before are apart now.
        server.run("INSERT INTO DB.userinfo VALUES ('É', 'x', 't'), ('b ', 'x', 't'), ('B', 'x', 't')").await;
    }
    server.dropped().await;
}

async fn a_table_of_something_else_is_left_alone(server: Server) {
    let database = server.initialized().await;
    server.run("DROP TABLE DB.userinfo").await;
    server.run("CREATE TABLE DB.userinfo (id int primary key, mail varchar(20) not null unique)").await;
    let said = database.init(true).await.unwrap().join("\n");
    assert!(said.contains("has no column name") && said.contains("Nothing was changed in it"), "{said}");
    assert!(database.check_table().await.unwrap_err().to_string().contains("UNIQUE"));
    server.dropped().await;
}

async fn rules_that_no_row_of_ours_can_break_are_left_alone(server: Server) {
    let database = server.initialized().await;
    server.run("CREATE TABLE DB.team (id int PRIMARY KEY)").await;
    server.run("ALTER TABLE DB.userinfo ADD team int NULL, ADD FOREIGN KEY (team) REFERENCES DB.team (id)").await;
    server.run("ALTER TABLE DB.userinfo ADD mail varchar(20) NULL UNIQUE, ADD seq bigint AUTO_INCREMENT UNIQUE").await;
    database.check_table().await.unwrap();
    for rule in ["ADD short varchar(9) AS (LEFT(name, 1)) UNIQUE", "ADD kind int DEFAULT 1 UNIQUE", "ADD UNIQUE (name)"]
    {
        server.run("DROP TABLE IF EXISTS DB.other").await;
        server.run("CREATE TABLE DB.other LIKE DB.userinfo").await;
        server.run(&format!("ALTER TABLE DB.other {rule}")).await;
        let other = MySql::new(&userdata::config::Mysql { table: "other".into(), ..server.config() }, LEASE).unwrap();
        let refusal = other.check_table().await.unwrap_err();
        assert!(refusal.to_string().contains("a UNIQUE rule of its own"), "{rule}: {refusal}");
        assert!(refusal.next.unwrap().starts_with("only a person can change that"), "{rule}");
    }
    server.dropped().await;
}

async fn a_missing_user_table_is_waited_for(server: Server) {
    let database = server.initialized().await;
    server.run("DROP TABLE DB.userinfo").await;
    let error = database.check_table().await.unwrap_err();
    assert_eq!((error.kind, error.next.as_deref()), (Kind::Transient, Some("run: userdata db init")));
    server.dropped().await;
}

async fn any_name_can_be_quoted(server: Server) {
    let mut config = server.config();
    config.table = "Users` of 2017; \"ü\"".into();
    let database = MySql::new(&config, LEASE).unwrap();
    database.init(false).await.unwrap();
    database.check_table().await.unwrap();
    let users = crate::server::block([("1", "n", "t")]);
    let mut session = database.begin(Lane::Work).await.unwrap();
    for existing in [userdata::rows::Existing::Keep, userdata::rows::Existing::Replace] {
        session.store_users(users.clone(), existing).await.unwrap();
    }
    session.commit().await.unwrap();
    server.dropped().await;
}

async fn settings_that_contradict_themselves_are_refused(server: Server) {
    let refused = |change: fn(&mut userdata::config::Mysql)| {
        let mut config = server.config();
        change(&mut config);
        let error = MySql::new(&config, LEASE).err().expect("it is refused");
        assert_eq!(error.kind, Kind::Fatal);
        error.to_string()
    };
    assert!(refused(|config| config.connections = 0).contains("connections"));
    assert!(refused(|config| config.table = "userdata_upload".into()).contains("ledger"));
    assert!(refused(|config| config.database = String::new()).contains("database"));
    assert!(refused(|config| config.tls_ca_file = Some("ca.pem".into())).contains("tls = \"required\""));
    let missing = refused(|config| {
        config.tls = MysqlTls::Required;
        config.tls_ca_file = Some("/nowhere/ca.pem".into());
    });
    assert!(missing.contains("/nowhere/ca.pem"), "{missing}");
}
