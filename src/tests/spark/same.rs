//! Files that a real Spark cluster of two executors cleans and sorts, beside the same files done by one worker: table,
//! rejects and counts must not differ.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    cluster::{Cluster, swept},
    hold::Hold,
    process::{self, Role},
    world::{Database, Server, World, free_port, service},
};

/// A world whose files are done by Spark.
pub async fn with_spark() -> World {
    let mut world = World::set_up(Database::MySql).await;
    on_spark(&mut world);
    world
}

/// Has the cluster do the files of a world, with executors that have this world's configuration.
pub fn on_spark(world: &mut World) {
    let work = world.path().join("executors");
    let executors = world.configuration(&[("worker", &format!("work = \"{}\"", work.display()))]);
    let (config, program) = (executors.display(), env!("CARGO_BIN_EXE_userdata"));
    world.set("spark", &format!("remote = \"{}\"\nmin_bytes = 1", service("USERDATA_TEST_SPARK")));
    world.set("spark", &format!("command = \"/usr/bin/env USERDATA_CONFIG={config} {program}\""));
    world.set("spark", "chunk_bytes = \"64KiB\"\nparts = 4");
}

/// Everything that a person could compare.
#[derive(Debug, PartialEq)]
struct Result {
    code: i32,
    table: Vec<(String, String, String)>,
    rejects: Option<String>,
    counts: Value,
    state: Value,
    original: bool,
}

async fn import(world: &World, bytes: &[u8], flags: &[&str]) -> Result {
    let file = world.write("users.csv", bytes);
    let mut command = world.command(&[&["import", file.to_str().unwrap()], flags].concat());
    // A first job starts the executors.
    let ended = tokio::time::timeout(3 * process::DEADLINE, command.output()).await.expect("it ends").unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let listed = world.run(&["status", "--json"]).await.expect(0).stdout();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let id = listed["uploads"][0]["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    let shown = world.run(&["status", &id, "--json"]).await.stdout();
    let mut shown: Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}\n{said}"));
    let rejects = world.run(&["rejects", &id]).await;
    let archived = world.archived();
    let left: Vec<_> = archived.iter().map(|(name, _)| name).filter(|name| is_temporary(name)).collect();
    assert!(left.is_empty(), "{left:?}");
    let counts = ["inserted", "replaced", "duplicates", "rejected", "read", "repeated_in_file", "already_present"];
    let counts = counts.map(|count| (count, shown[count].take())).into_iter().collect();
    Result {
        code: ended.status.code().unwrap_or(-1),
        table: world.table().await.into_iter().map(|(id, (name, time))| (id, name, time)).collect(),
        rejects: (rejects.code() == 0).then(|| rejects.stdout()),
        counts,
        state: shown["state"].take(),
        original: archived.iter().any(|(name, content)| Path::new(name).ends_with("users.csv") && content == bytes),
    }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with("parts/") || name.ends_with(".part")
}

fn file(rows: impl Iterator<Item = String>, end: &str) -> Vec<u8> {
    let mut text = format!("id,name,time_of_start{end}");
    rows.for_each(|row| text.extend([row.as_str(), end]));
    text.into_bytes()
}

fn clean(count: u32) -> Vec<u8> {
    file((0..count).map(|row| format!("{:08x},Name {row},2017-03-07 00:30:54", row.wrapping_mul(2_654_435_761))), "\n")
}

/// Rows whose ids hold what does not simply pass through a line of text, so many of them different.
pub fn hard(rows: usize, ids: usize) -> Vec<u8> {
    file((0..rows).map(|row| format!("\"{}\",a{row},2017-03-07", hard_id(row % ids))), "\n")
}

pub fn hard_id(number: usize) -> String {
    let hard = ["a\tb", "a\\b", "\\N", "ü", "\u{1}", "=", "#!", "a\u{b}", "a\nb", "A", "\u{10ffff}"];
    format!("{}{number}", hard[number % hard.len()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_stores_what_one_worker_stores() {
    let _cluster = Cluster::shared().await;
    let ragged = |row: u32| match row % 7 {
        0 => format!("{row},a,2017-03-07,,"),
        3 => format!("{row},a,2017-03-07,x"),
        5 => format!("{row},a"),
        _ => format!("{row},a,2017-03-07"),
    };
    let mut undecodable = clean(2_000);
    undecodable.extend(b"x,M\xfcller,2017-03-07\n".repeat(300));
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("clean rows", clean(20_000), &[]),
        ("ragged", file((0..9_000).map(ragged), "\n"), &[]),
        (
            "quoted over several lines",
            file((0..6_000).map(|row| format!("\"{}\n{row}\",\"a\n\"\"b\"\"\",2017-03-07", row % 1000)), "\r\n"),
            &["--existing", "replace"],
        ),
        ("not UTF-8", undecodable, &[]),
        ("one id 100,000 times", file((0..100_000).map(|row| format!("1,{},2017-03-07", row % 3)), "\n"), &[]),
        ("all rejects", file((0..9_000).map(|row| format!("{row},a,never")), "\n"), &[]),
        ("line ends of CR alone", file((0..9_000).map(|row| format!("{row},a,2017-03-{:02}", row % 40)), "\r"), &[]),
        ("ids that are hard to pass on", hard(9_000, 700), &["--existing", "replace"]),
    ];
    for (what, bytes, flags) in cases {
        let (on_spark, alone) = (with_spark().await, World::set_up(Database::MySql).await);
        // Into a table that holds some of the ids already.
        for world in [&on_spark, &alone] {
            let before = file((0..500).map(|row| format!("{row},before,2001-01-01")), "\n");
            world.write("before.csv", before);
            let mut command = world.command_with(&["import", "before.csv"], &[("spark", "min_bytes = \"1GiB\"")]);
            process::run(&mut command).await.expect(0);
        }
        let (made, expected) = tokio::join!(import(&on_spark, &bytes, flags), import(&alone, &bytes, flags));
        assert!(made == expected, "{what}: {made:#?}\nand by one worker {expected:#?}");
        assert!(made.original, "{what}: the original is in the archive");
        let listed = on_spark.run(&["status", "--json"]).await.expect(0).stdout();
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let id = listed["uploads"][0]["id"].as_str().unwrap();
        let history = on_spark.run(&["status", id]).await.stdout();
        assert!(history.contains("cleaning on Spark"), "{what}: {history}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_spark_an_upload_waits_or_is_done_by_the_worker_and_says_so() {
    let mut world = World::set_up(Database::MySql).await;
    world.set("spark", "remote = \"sc://127.0.0.1:1\"\nmin_bytes = 1");
    world.write("users.csv", clean(100));
    let mut command = world.command_with(&["import", "users.csv"], &[("spark", "fallback = \"worker\"")]);
    process::run(&mut command).await.expect(0);
    assert_eq!(world.table().await.len(), 100);
    let listed = world.run(&["status", "--json"]).await.expect(0).stdout();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let first = listed["uploads"][0]["id"].as_str().unwrap();
    let history = world.run(&["status", first]).await.stdout();
    assert!(history.contains("Spark cannot be used, done by one worker alone"), "{history}");

    let mut waiting = Role::start("import", &mut world.command(&["import", "users.csv"]));
    let said = waiting.logged("waiting for Spark: connecting to the Spark Connect server at 127.0.0.1:1: ").await;
    assert!(said.contains("spark.fallback"), "{said}");
    waiting.terminate().await;
}

/// A world whose executors take the file from the server, and store the original in chunks.
async fn archiving_in_chunks() -> (World, Server) {
    let mut world = World::on_services(Database::MySql);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let hash: String = Sha256::digest("a-token-of-this-test").iter().map(|byte| format!("{byte:02x}")).collect();
    world.set("server", &format!("listen = \"127.0.0.1:{port}\"\nworker_url = \"{url}\""));
    world.set("server", "admin_token = \"another-token-of-this-test\"");
    world.set("[server.token]", &format!("name = \"workers\"\nsha256 = \"{hash}\"\nrole = \"worker\""));
    world.set("worker", &format!("paths = []\nservers = [\"{url}\"]\ntoken = \"a-token-of-this-test\""));
    on_spark(&mut world);
    world.set("archive.ftp", "layout = \"parts\"");
    world.set("spark", "source = \"server\"");
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    let server = world.serve().await.with_token("another-token-of-this-test");
    (world, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_bring_the_original_into_the_archive_in_chunks_and_it_is_read_back_whole() {
    let _cluster = Cluster::shared().await;
    let (world, server) = archiving_in_chunks().await;
    let _worker = world.worker("one", &[]).await;

    let bytes = [b"\xef\xbb\xbf".to_vec(), clean(20_000)].concat();
    let id = server.put("users.csv", &bytes, &[]).await;
    let counts = server.done(&id).await;
    assert_eq!((counts.inserted, counts.rejected), (20_000, 0));
    let archived = world.archived();
    let names: Vec<_> = archived.iter().map(|(name, _)| name.as_str()).collect();
    let chunks: Vec<_> = archived.iter().filter(|(name, _)| name.contains("/users.csv.chunks/")).collect();
    assert!(chunks.len() > 5, "{names:?}");
    let whole: Vec<u8> = chunks.iter().flat_map(|(_, content)| content.clone()).collect();
    assert!(whole == bytes, "the chunks one behind the other are the original");
    assert!(!names.iter().any(|name| name.ends_with("/users.csv") || name.ends_with(".part")), "{names:?}");
    let list = archived.iter().find(|(name, _)| name.ends_with("/users.csv.parts.json")).unwrap();
    let list: Value = serde_json::from_slice(&list.1).unwrap();
    assert_eq!((list["size"].as_u64(), list["chunks"][0]["first_line"].as_u64()), (Some(bytes.len() as u64), Some(1)));
    assert_eq!(list["sha256"], Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>());

    // From the archive alone: the spool's copy is gone.
    let spooled = std::fs::read_dir(world.path().join("data/spool")).unwrap().map(|entry| entry.unwrap().path());
    for file in spooled.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&id)) {
        std::fs::remove_file(file).unwrap();
    }
    let answer =
        server.http.get(format!("{}/uploads/{id}/content", server.url)).header("range", "bytes=70000-").send().await;
    let rest = answer.unwrap().bytes().await.unwrap();
    assert!(rest == bytes[70_000..], "{} bytes", rest.len());
    let again = world.run(&["again", &id, "--existing", "replace"]).await.expect(0).stdout();
    let new = again.split_whitespace().find(|word| word.len() == 36).unwrap_or_else(|| panic!("{again}")).to_owned();
    let counts = server.done(&new).await;
    assert_eq!((counts.inserted, counts.duplicates), (0, 20_000));
    assert_eq!(world.archived().iter().filter(|(name, _)| name.contains("users.csv.chunks/")).count(), chunks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_upload_that_is_cancelled_no_chunk_stays_in_the_archive() {
    let _cluster = Cluster::shared().await;
    let (world, server) = archiving_in_chunks().await;
    let hold = Hold::nth(&world, "chunk", 3);
    let mut worker = hold.worker(&world, "one", &[]);
    let id = server.put("users.csv", &clean(10_000), &[]).await;
    hold.reached(&mut worker).await;
    let chunks = || world.archived().into_iter().filter(|(name, _)| name.contains("/users.csv")).count();
    assert_eq!(chunks(), 3);
    let cancelled = server.http.post(format!("{}/uploads/{id}/cancel", server.url)).send().await.unwrap();
    assert_eq!(cancelled.status(), 202);
    worker.logged("stopping the work").await;
    hold.release();
    server.until_state(&id, "cancelled").await;
    assert_eq!(chunks(), 0, "{}", worker.log());
    let _sweeper = world.worker("sweeper", &[]).await;
    swept(&world).await;
}
