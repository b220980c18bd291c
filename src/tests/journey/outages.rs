//! Services that are down, break, refuse or are not set up: what is uploaded meanwhile is accepted, kept and shown, the
//! message says what is missing, and everything goes on by itself.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::{net::UnixDatagram, time::Instant};

use crate::{
    broker::Broker,
    generator::{File, Spec, Table, Times, generate},
    kcat,
    process::{DEADLINE, Role},
    world::{Database, Server, World},
};

/// A role's log holds changes, not repetitions: so many lines are enough for an outage of all services.
const LINES_MAX: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn with_every_service_down_uploads_are_kept_and_shown_and_go_on_as_each_one_comes_back() {
    let broker = Broker::start().await;
    broker.kill().await;
    let mut world = World::on_services(Database::MySql);
    world.share_the_spool();
    world.set("queue.kafka", &format!("brokers = \"{}\"", broker.address));
    let (archive, database) = (world.way_to_archive(), world.way_to_database());

    let (mut server, mut worker) = (serve_ready(&world).await, world.worker("worker", &[]).await);
    let down_since = Instant::now();
    let (mut expected, file) = (Table::new(), generate(&Spec::default()));
    let id = server.put("users.csv", &file.bytes, &[]).await;
    assert!(down_since.elapsed() < Duration::from_secs(5), "no service is waited for");
    let place = format!("MySQL at {}", database.address());
    waits(&server, &id, "store", &["the database", &place, "refused"]).await;
    let (listed, page) = (server.list().await, server.http.get(&server.url).send().await.unwrap());
    assert_eq!(listed["uploads"][0]["id"].as_str(), Some(id.as_str()), "{listed}");
    assert_eq!(listed["waiting"]["for"], "store", "{listed}");
    assert!(page.text().await.unwrap().contains("User Data Management"));
    let status = world.run(&["status"]).await.expect(5);
    assert!(status.stderr().contains(&place), "{}", status.stderr());
    worker.logged(&place).await;
    worker.logged(&broker.address).await;
    tokio::time::sleep_until(down_since + Duration::from_secs(10)).await;
    for role in [&server.role, &worker] {
        assert!(role.lines() <= LINES_MAX, "{}", role.log());
    }

    let seen = worker.lines();
    broker.start_again().await;
    worker.logged_after(seen, "userdata topic create").await;
    world.run(&["topic", "create"]).await.expect(0);
    database.open().await;
    waits(&server, &id, "store", &[&place, "userdata db init"]).await;
    world.run(&["db", "init"]).await.expect(0);
    let waiting = waits(&server, &id, "archive", &["waiting for the archive: ", &archive.address(), "refused"]).await;
    assert_eq!(waiting["attempts"], 0, "what cannot be reached does not count");
    server.until(&id, "announced", |upload| upload["announced_at"].is_string()).await;
    pauses_grow(&server, &id).await;

    archive.open().await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(server.upload(&id).await["attempts"], 0);
    assert_eq!(server.upload(&id).await["waiting"], Value::Null);

    // Now Kafka breaks off: whoever works goes on, and the ledger tells workers of what comes meanwhile.
    let more = generate(&Spec { seed: 2, shared: Some((1, 0.3)), ..Spec::default() });
    let next = server.put("more.csv", &more.bytes, &[]).await;
    broker.kill().await;
    let meanwhile = generate(&Spec { seed: 3, ..Spec::default() });
    let last = server.put("meanwhile.csv", &meanwhile.bytes, &[]).await;
    assert_eq!(server.done(&next).await, more.keep(&mut expected));
    assert_eq!(server.done(&last).await, meanwhile.keep(&mut expected));
    assert_eq!(world.table().await, expected);
    assert!(worker.terminate().await.success(), "{}", worker.log());

    // Others read the topic too: it tells them also of what has ended meanwhile.
    let silent = server.upload(&last).await;
    assert_eq!((&silent["announced_at"], &silent["state"]), (&Value::Null, &"done".into()), "{silent}");
    broker.start_again().await;
    server.until(&last, "announced", |upload| upload["announced_at"].is_string()).await;
    kcat::consume_keys(&broker.address, &world.name, &[&id, &next, &last]).await;
    broker.kill().await;
    assert!(server.role.terminate().await.success(), "{}", server.role.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_topic_the_server_names_the_command_and_announces_after_it_was_run() {
    let world = World::on_services(Database::MySql);
    world.run(&["db", "init"]).await.expect(0);
    let mut server = world.serve().await;
    let id = server.put("users.csv", &generate(&Spec::default()).bytes, &[]).await;
    let line = server.role.logged("userdata topic create").await;
    assert!(line.contains(&world.name), "{line}");
    world.run(&["topic", "create"]).await.expect(0);
    server.until(&id, "announced", |upload| upload["announced_at"].is_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_breaks_in_mid_transfer_is_waited_for_and_holds_the_whole_file_in_the_end() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let archive = world.way_to_archive();
    archive.open().await;
    let (server, mut worker) = (world.serve().await, world.worker("worker", &[]).await);
    let (mut expected, file) = (Table::new(), large());
    archive.break_after(1 << 20);
    let id = server.put("users.csv", &file.bytes, &[]).await;
    archive.broken().await;
    let waiting = waits(&server, &id, "archive", &["waiting for the archive: ", &archive.address()]).await;
    assert_eq!(waiting["attempts"], 0);
    archive.open().await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
    server.until(&id, "with its receipt", |upload| upload["links"]["receipt"].is_string()).await;
    assert!(worker.terminate().await.success(), "{}", worker.log());
    let archived = world.archived();
    let original = archived.iter().find(|(name, _)| name.ends_with("users.csv")).expect("the original");
    assert!(original.1 == file.bytes, "the archived bytes are those that were sent");
    assert!(archived.iter().all(|(name, _)| name.contains("users.csv")), "no temp file is left: {archived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_that_breaks_in_mid_load_is_waited_for_and_every_row_counts_once() {
    database_breaks_in_mid_load(Database::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_that_breaks_in_mid_load_is_waited_for_and_every_row_counts_once() {
    database_breaks_in_mid_load(Database::MariaDb).await;
}

async fn database_breaks_in_mid_load(kind: Database) {
    let mut world = World::set_up(kind).await;
    world.share_the_spool();
    let database = world.way_to_database();
    database.open().await;
    let (server, mut worker) = (world.serve().await, world.worker("worker", &[]).await);
    let (mut expected, file) = (Table::new(), large());
    database.break_after(1 << 20);
    let id = server.put("users.csv", &file.bytes, &[]).await;
    database.broken().await;
    let place = database.address();
    waits(&server, &id, "store", &[&place]).await;
    worker.logged(&place).await;
    // Ids of its own: which of the two is loaded first is not promised.
    let meanwhile = generate(&Spec { seed: 2, ..Spec::default() });
    let next = server.put("meanwhile.csv", &meanwhile.bytes, &[]).await;
    waits(&server, &next, "store", &[&place]).await;
    database.open().await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(server.done(&next).await, meanwhile.keep(&mut expected));
    assert_eq!(world.table().await, expected);
    assert_eq!(server.upload(&id).await["attempts"], 0);
    assert!(worker.terminate().await.success(), "{}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ftp_password_is_waited_for_until_the_worker_has_the_right_one() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let server = world.serve().await;
    let mut worker = world.worker("worker", &[("archive.ftp", "password = \"guessed-password\"")]).await;
    let (mut expected, file) = (Table::new(), generate(&Spec::default()));
    let id = server.put("users.csv", &file.bytes, &[]).await;
    let waiting = waits(&server, &id, "archive", &["waiting for the archive: ", " 530 ", "archive.ftp.user"]).await;
    assert_eq!(waiting["attempts"], 0, "{waiting}");
    for time in ["since", "next_try"] {
        assert!(waiting["waiting"][time].as_str().is_some_and(|time| time.ends_with('Z')), "{waiting}");
    }
    let status = world.run(&["status", &id]).await.expect(0);
    assert!(status.stdout().contains("530"), "{}", status.stdout());
    assert!(worker.terminate().await.success(), "a refused login ends no worker: {}", worker.log());
    assert!(!worker.log().contains("guessed-password"));
    let _worker = world.worker("right", &[]).await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_mysql_password_is_waited_for_until_the_account_has_it() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let (mut root, user) = (world.connect().await, world.name.clone());
    root.query_drop(format!("create user '{user}' identified by 'another-password'")).await.unwrap();
    root.query_drop(format!("grant all on {user}.* to '{user}'")).await.unwrap();
    world.set("store.mysql", &format!("user = \"{user}\"\npassword = \"right-password\""));
    let (server, mut worker) = (world.serve().await, world.worker("worker", &[]).await);
    let (mut expected, file) = (Table::new(), generate(&Spec::default()));
    let id = server.put("users.csv", &file.bytes, &[]).await;
    waits(&server, &id, "store", &["waiting for the database: ", "Access denied", "[store.mysql]"]).await;
    worker.logged("Access denied").await;
    root.query_drop(format!("alter user '{user}' identified by 'right-password'")).await.unwrap();
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
    assert!(!worker.log().contains("-password") && !server.role.log().contains("-password"));
    root.query_drop(format!("drop user '{user}'")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_would_merge_ids_is_waited_for_until_it_was_migrated() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let mut root = world.connect().await;
    let other = "alter table userinfo modify id varchar(255) collate utf8mb4_general_ci not null";
    root.query_drop(other).await.unwrap();
    let (server, _worker) = (world.serve().await, world.worker("worker", &[]).await);
    let (mut expected, file) = (Table::new(), generate(&Spec::default()));
    let id = server.put("users.csv", &file.bytes, &[]).await;
    let wanted = ["waiting for the database: ", "utf8mb4_general_ci", "userdata db init --migrate"];
    assert_eq!(waits(&server, &id, "store", &wanted).await["attempts"], 0);
    world.run(&["db", "init", "--migrate"]).await.expect(0);
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
}

/// Enough for a transfer and a load to be broken in the middle.
fn large() -> File {
    generate(&Spec { rows: 30_000, times: Times::Rfc3339, ..Spec::default() })
}

/// `serve`, which has told systemd that it is ready.
async fn serve_ready(world: &World) -> Server {
    let path = world.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let server = Server::of(Role::start("serve", world.command(&["serve"]).env("NOTIFY_SOCKET", &path))).await;
    let mut word = [0; 64];
    let told = tokio::time::timeout(DEADLINE, systemd.recv(&mut word)).await.expect("READY").unwrap();
    assert_eq!(&word[..told], b"READY=1\n");
    server
}

/// Waits until an upload says that it waits for a service, in these words; gives all that it says.
async fn waits(server: &Server, id: &str, service: &str, words: &[&str]) -> Value {
    let what = format!("waiting for {service}, saying {words:?}");
    server
        .until(id, &what, |upload| {
            let message = upload["waiting"]["message"].as_str().unwrap_or_default();
            upload["waiting"]["for"] == service && words.iter().all(|word| message.contains(word))
        })
        .await
}

/// Watches the pauses before the next try until they have grown to at least two seconds.
async fn pauses_grow(server: &Server, id: &str) {
    let mut last = 0;
    while last < 2_000 {
        let upload = server.until(id, "waiting longer", |upload| pause_ms(upload) > last).await;
        assert!(pause_ms(&upload) <= 300_000, "{upload}");
        last = pause_ms(&upload);
    }
}

/// From one try to the next, while it waits.
fn pause_ms(upload: &Value) -> i64 {
    let time = |name: &str| {
        let text = upload["waiting"][name].as_str()?;
        Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    };
    // Pauses last as long as was waited before: half of the time from the beginning to the next try.
    time("next_try").zip(time("since")).map_or(0, |(next, since)| (next - since) / 2)
}
