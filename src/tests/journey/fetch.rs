//! Workers on another machine: they reach nothing of the server's disk and fetch over HTTP. And with whatever way the
//! bytes come, everything ends as it does embedded.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    generator::{File, Spec, Table, Times, generate},
    process::{DEADLINE, Role},
    world::{Database, Server, World, free_port},
};

const TOKEN: &str = "a-token-of-this-test";
const ADMIN: &str = "another-token-of-this-test";

#[tokio::test(flavor = "multi_thread")]
async fn workers_fetch_over_http_on_mysql_and_everything_ends_as_embedded() {
    fetched(Database::MySql, "keep", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_fetch_over_http_on_mariadb_and_everything_ends_as_embedded() {
    fetched(Database::MariaDb, "replace", 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_shared_spool_on_mysql_everything_ends_as_embedded() {
    shared(Database::MySql, "replace", 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_shared_spool_on_mariadb_everything_ends_as_embedded() {
    shared(Database::MariaDb, "keep", 1).await;
}

async fn fetched(database: Database, existing: &str, partitions: u32) {
    let mut world = World::on_services(database);
    let port = free_port();
    let hash: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let addresses = format!("listen = \"127.0.0.1:{port}\"\nworker_url = \"http://127.0.0.1:{port}\"");
    world.set("server", &format!("{addresses}\nadmin_token = \"{ADMIN}\""));
    // Printed as [[server.token]].
    world.set("[server.token]", &format!("name = \"workers\"\nsha256 = \"{hash}\"\nrole = \"worker\""));
    world.set("worker", &format!("paths = []\nservers = [\"http://127.0.0.1:{port}\"]\ntoken = \"{TOKEN}\""));
    let (server, workers) = start(&world, partitions).await;
    let server = server.with_token(ADMIN);
    the_whole_way(&world, &server, &workers, existing).await;
    let ranges = server.role.log();
    assert!(
        ranges.lines().any(|line| line.contains("bytes=0-") && line.contains("206")),
        "no Range request:\n{ranges}"
    );
}

async fn shared(database: Database, existing: &str, partitions: u32) {
    let mut world = World::on_services(database);
    let spool = world.path().join("data/spool");
    world.set("worker", &format!("paths = [\"{}\"]", spool.display()));
    let (server, workers) = start(&world, partitions).await;
    the_whole_way(&world, &server, &workers, existing).await;
    assert!(!server.role.log().contains("/content"), "the file was there to be read");
}

async fn start(world: &World, partitions: u32) -> (Server, [Role; 2]) {
    let count = partitions.to_string();
    let topic = &world.name;
    let plural = if partitions == 1 { "partition" } else { "partitions" };
    let made = world.run(&["topic", "create", "--partitions", &count]).await.expect(0).stdout();
    assert_eq!(made, format!("topic {topic} created, {count} {plural}\ntopic {topic}.dlq created, 1 partition\n"));
    let found = world.run(&["topic", "create", "--partitions", &count]).await.expect(0).stdout();
    assert_eq!(found, made.replace("created", "is there"));
    let made = world.run(&["db", "init"]).await.expect(0).stdout();
    let found = world.run(&["db", "init"]).await.expect(0).stdout();
    assert!(made.contains("Created") && found.contains("is there") && !found.contains("Created"), "{made}{found}");
    let server = world.serve().await;
    let slots = [("worker", "slots = 1")];
    (server, [world.worker("one", &slots).await, world.worker("two", &slots).await])
}

/// Two overlapping files one after the other, here and embedded, and then files until both workers had one.
async fn the_whole_way(world: &World, server: &Server, workers: &[Role; 2], existing: &str) {
    let files = [
        generate(&Spec { rows: 1_000, ..Spec::default() }),
        generate(&Spec { rows: 1_000, seed: 2, shared: Some((1, 0.5)), times: Times::Rfc3339, ..Spec::default() }),
    ];
    let embedded = World::embedded();
    let alone = embedded.serve().await;
    let (mut expected, mut ids, mut ids_alone) = (Table::new(), Vec::new(), Vec::new());
    for file in &files {
        let counts = if existing == "keep" { file.keep(&mut expected) } else { file.replace(&mut expected) };
        for (server, ids) in [(server, &mut ids), (&alone, &mut ids_alone)] {
            let id = server.put("Bücher März.csv", &file.bytes, &[("existing", existing)]).await;
            assert_eq!(server.done(&id).await, counts);
            ids.push(id);
        }
    }
    assert_eq!(world.table().await, expected);
    assert_eq!(embedded.table().await, expected);
    let here = account(world, server, &ids).await;
    assert_eq!(here, account(&embedded, &alone, &ids_alone).await);
    assert!(here.keys().any(|name| name.ends_with("/B_cher_M_rz.csv.rejects.csv")), "{:?}", here.keys());
    both_get_work(server, workers).await;
}

/// What the archive holds and the receipts say, with ids, times and addresses taken out.
async fn account(world: &World, server: &Server, ids: &[String]) -> BTreeMap<String, String> {
    let wanted = ids.len() * 4;
    let files = tokio::time::timeout(DEADLINE, async {
        loop {
            let files = world.archived();
            if files.iter().filter(|(name, _)| !name.ends_with(".part")).count() >= wanted {
                return files;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let files = files.await.unwrap_or_else(|_| panic!("not {wanted} files in the archive:\n{}", server.role.log()));
    let mut account = BTreeMap::new();
    for (name, bytes) in files {
        let text = if name.ends_with(".json") {
            plain(serde_json::from_slice(&bytes).unwrap()).to_string()
        } else {
            format!("{:?}", String::from_utf8_lossy(&bytes))
        };
        account.insert(without(ids, &name), without(ids, &text));
    }
    for id in ids {
        let answer = server.http.get(format!("{}/uploads/{id}/receipt", server.url)).send().await.unwrap();
        let text = plain(answer.json().await.unwrap()).to_string();
        account.insert(without(ids, &format!("receipt of {id}")), without(ids, &text));
    }
    account
}

fn without(ids: &[String], text: &str) -> String {
    let mut text = text.to_owned();
    for (number, id) in ids.iter().enumerate() {
        text = text.replace(id, &format!("ID{number}"));
    }
    text
}

/// Without times, and without who did it where.
fn plain(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| !name.ends_with("_ms") && !matches!(name.as_str(), "worker" | "place" | "sender"));
    }
    value
}

/// One partition feeds any number of workers.
async fn both_get_work(server: &Server, workers: &[Role; 2]) {
    let file: File = generate(&Spec { rows: 3_000, ..Spec::default() });
    let idle = |worker: &Role| !worker.log().contains("\"claimed\"");
    let worked = tokio::time::timeout(DEADLINE, async {
        while workers.iter().any(idle) {
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(server.put("more.csv", &file.bytes, &[]).await);
            }
            for id in ids {
                server.done(&id).await;
            }
        }
    });
    let [one, two] = workers;
    worked.await.unwrap_or_else(|_| panic!("a worker got no work:\n{}\n\n{}", one.log(), two.log()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_right_token_says_so_and_the_upload_waits() {
    let mut world = World::on_services(Database::MySql);
    let port = free_port();
    let addresses = format!("listen = \"127.0.0.1:{port}\"\nworker_url = \"http://127.0.0.1:{port}\"");
    world.set("server", &format!("{addresses}\nadmin_token = \"{ADMIN}\""));
    let hash = "0".repeat(64);
    world.set("[server.token]", &format!("name = \"workers\"\nsha256 = \"{hash}\"\nrole = \"worker\""));
    world.set("worker", &format!("paths = []\nservers = [\"http://127.0.0.1:{port}\"]\ntoken = \"{TOKEN}\""));
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    let server = world.serve().await.with_token(ADMIN);
    let _worker = world.worker("one", &[]).await;
    let id = server.put("a.csv", b"id,name,time_of_start\n1,a,2017-03-07\n", &[]).await;
    let upload = server.until(&id, "waiting", |upload| upload["waiting"].is_object()).await;
    let message = upload["waiting"]["message"].as_str().unwrap();
    assert_eq!(upload["waiting"]["for"], "source");
    assert!(message.contains("the server answers 401") && message.contains("/content"), "{message}");
}
