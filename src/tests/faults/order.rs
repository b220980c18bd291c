//! Several files at once: what the order of loads decides, and what it must not.

use std::{collections::HashSet, time::Duration};

use mysql_async::prelude::Queryable;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::Value;

use crate::{
    generator::{Spec, Table, generate},
    hold::Hold,
    process::Role,
    scene::{Scene, on_services},
    world::{
        Database::{self, MariaDb, MySql},
        Server, World, counts, service,
    },
};

async fn replacing_files_load_in_their_order(database: Database) {
    let world = on_services(database).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "cleaned");
    let mut worker = hold.worker(&world, "one", &[("worker", "slots = 2")]);
    let mut table = Table::new();
    let mut expected = Vec::new();
    for seed in 1..=3 {
        let file = generate(&Spec { seed, shared: Some((1, 1.0)).filter(|_| seed > 1), ..Spec::default() });
        let id = server.put("users.csv", &file.bytes, &[("existing", "replace")]).await;
        expected.push((id, file.replace(&mut table)));
        if seed == 1 {
            hold.reached(&mut worker).await;
        }
    }
    // The other slot archives them and gives them back, again and again free for more.
    for (id, _) in &expected[1..] {
        let handed_back = |upload: &serde_json::Value| upload["state"] == "archived" && upload["owner"].is_null();
        server.until(id, "archived and waiting for its turn", handed_back).await;
    }
    let other = generate(&Spec { seed: 9, rows: 100, ..Spec::default() });
    let id = server.put("other.csv", &other.bytes, &[]).await;
    // Small as it is, it is held at the same place: that it comes there shows that the slot is free.
    server
        .until(&id, "claimed and archived", |upload| upload["state"] == "archived" && !upload["owner"].is_null())
        .await;
    hold.release();
    for (id, counts) in expected {
        assert_eq!(server.done(&id).await, counts);
    }
    assert_eq!(server.done(&id).await, other.keep(&mut table));
    assert!(world.table().await == table, "the table is not what the files give one after the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_files_load_in_their_order_though_the_first_is_delayed_on_mysql() {
    replacing_files_load_in_their_order(MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_files_load_in_their_order_though_the_first_is_delayed_on_mariadb() {
    replacing_files_load_in_their_order(MariaDb).await;
}

/// Four workers and twenty files at once, in transactions of a few rows, and half of every file's ids are the same.
async fn files_with_shared_ids_count_each_id_once(database: Database) {
    let mut world = on_services(database).await;
    // So many processes at once leave little time for heartbeats; nobody dies here.
    world.set("worker", "lease_s = 60\nslots = 2");
    let server = world.serve().await;
    let worker = |number: usize| {
        let name = format!("worker-{number}");
        let mut command = world.worker_command(&name, &[]);
        Role::start(&name, command.env("USERDATA_FAULT", "small-transactions"))
    };
    let workers: Vec<_> = (1..=4).map(worker).collect();
    let file = |seed| generate(&Spec { seed, shared: Some((100, 0.5)), ..Spec::default() });
    let files: Vec<_> = (1..=20).map(file).collect();
    let put = files.iter().map(|file| server.put("users.csv", &file.bytes, &[]));
    let ids = futures_util::future::join_all(put).await;
    let (mut inserted, mut all) = (0, HashSet::new());
    for (file, id) in files.iter().zip(&ids) {
        // Alone: what does not depend on the others.
        let mut table = Table::new();
        let (alone, counts) = (file.keep(&mut table), server.done(id).await);
        all.extend(table.into_keys());
        assert_eq!(counts.inserted + counts.already_present, alone.inserted);
        assert_eq!(counts.duplicates, counts.repeated_in_file + counts.already_present);
        let same = |counts: &crate::generator::Counts| {
            (counts.read, counts.rejected, counts.repeated_in_file, counts.conflicting)
        };
        assert_eq!(same(&counts), same(&alone));
        inserted += counts.inserted;
        nobody_was_told_of_trouble(&server, id).await;
    }
    assert_eq!(inserted, all.len() as u64);
    assert!(world.table().await.into_keys().collect::<HashSet<_>>() == all);
    let common = files.len() as u64 * files[0].rows - inserted;
    assert!(common > 10_000, "the files have only {common} rows in common");
    drop(workers);
}

/// One claim, no wait, no error: what the database had to sort out between loads stays between it and them.
async fn nobody_was_told_of_trouble(server: &Server, id: &str) {
    let upload = server.upload(id).await;
    assert_eq!((&upload["attempts"], &upload["error"], &upload["waiting"]), (&0.into(), &Value::Null, &Value::Null));
    let answer = server.http.get(format!("{}/uploads/{id}/events", server.url)).send().await.unwrap();
    let events: Value = answer.json().await.unwrap();
    let messages: Vec<_> = events["events"].as_array().unwrap().iter().map(|event| &event["message"]).collect();
    let trouble = |message: &&&Value| {
        let text = message.as_str().unwrap();
        ["wait", "unexpected", "stopped answering", "fail", "deadlock"].iter().any(|word| text.contains(word))
    };
    assert_eq!(messages.iter().find(trouble), None, "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_with_twenty_files_of_shared_ids_count_each_id_once_on_mysql() {
    files_with_shared_ids_count_each_id_once(MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_with_twenty_files_of_shared_ids_count_each_id_once_on_mariadb() {
    files_with_shared_ids_count_each_id_once(MariaDb).await;
}

/// What the group has acknowledged on the topic's one partition.
async fn acknowledged(world: &World) -> i64 {
    let (group, broker) = (world.name.clone(), service("USERDATA_TEST_KAFKA"));
    let asked = tokio::task::spawn_blocking(move || {
        let mut client = ClientConfig::new();
        let client: BaseConsumer = client.set("bootstrap.servers", broker).set("group.id", &group).create().unwrap();
        let mut partition = TopicPartitionList::new();
        partition.add_partition(&group, 0);
        let committed = client.committed_offsets(partition, Duration::from_secs(10)).unwrap();
        match committed.elements()[0].offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        }
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_longer_than_the_poll_interval_neither_loses_its_partition_nor_runs_twice() {
    const INTERVAL_MS: u64 = 1_000;
    let mut world = on_services(MySql).await;
    // Nobody dies here, and a busy disk keeps heartbeats waiting.
    world.set("worker", "lease_s = 30");
    world.set("queue.kafka.properties", &format!("\"max.poll.interval.ms\" = \"{INTERVAL_MS}\""));
    let server = world.serve().await;
    let hold = Hold::at(&world, "cleaned");
    let mut worker = hold.worker(&world, "one", &[("worker", "slots = 1")]);
    let scene = Scene::begin(&server, 2_000).await;
    hold.reached(&mut worker).await;
    // With such a lease heartbeats come once a second.
    let mut connection = world.connect().await;
    let mut beats = async || {
        let beats: Option<u64> = connection.query_first("select beat from userdata_upload").await.unwrap();
        beats.unwrap()
    };
    let enough = beats().await + 3 * INTERVAL_MS / 1_000 + 1;
    while beats().await < enough {
        assert!(worker.is_running(), "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The job is under way, and announcements are still taken.
    let next = Scene::begin(&server, 1).await;
    let taken = async {
        while acknowledged(&world).await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(crate::process::DEADLINE, taken).await.expect("the second announcement is taken");
    hold.release();
    assert_eq!(server.done(&scene.id).await, scene.counts);
    server.until_state(&next.id, "done").await;
    assert_eq!(counts(&server.upload(&next.id).await).read, 1);
    let claims = scene.history(&server).await.iter().filter(|event| event.starts_with("claimed")).count();
    assert_eq!(claims, 1);
    assert!(!worker.log().to_lowercase().contains("poll interval"), "{}", worker.log());
}

/// Between a file's last write and its end a heartbeat finds no claim any more: nobody has taken anything over.
#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_behind_the_last_write_calls_no_finished_file_lost() {
    let world = on_services(MySql).await;
    let server = world.serve().await;
    let (done, finish) = (Hold::at(&world, "done"), Hold::at(&world, "finish"));
    finish.release();
    let mut command = world.worker_command("one", &[("worker", "slots = 2")]);
    command.env("USERDATA_FAULT", format!("{};{}", done.fault(), finish.fault()));
    let mut worker = Role::start("one", &mut command);
    let first = Scene::begin(&server, 2_000).await;
    done.reached(&mut worker).await;
    // Another file's heartbeats, which are seen, tell the time: there are several while the first is held.
    finish.again();
    let second = Scene::begin(&server, 1).await;
    finish.reached(&mut worker).await;
    let sql = format!("select beat from userdata_upload where id = '{}'", second.id);
    let mut connection = world.connect().await;
    let mut beats = async || connection.query_first::<u64, _>(&sql).await.unwrap().expect("its row");
    let enough = beats().await + 3;
    while beats().await < enough {
        assert!(worker.is_running(), "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    done.release();
    finish.release();
    assert_eq!(server.done(&first.id).await, first.counts);
    server.until_state(&second.id, "done").await;
    assert!(world.table().await == first.table, "the second file's only id is one of the first's");
    assert!(worker.terminate().await.success(), "{}", worker.log());
    assert!(!worker.log().contains("Lost"), "{}", worker.log());
}
