//! What is on the topic, as other programs read it, and what becomes of what others write there.

use serde_json::{Value, json};

use crate::{
    generator::{File, Spec, Table, generate},
    kcat,
    world::{Database, Server, World, service},
};

const REASON: &str = "__connect.errors.exception.message";

fn file() -> File {
    generate(&Spec { rows: 200, ..Spec::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_announced_as_the_original_did_with_everything_more_in_headers() {
    let world = World::set_up(Database::MySql).await;
    let server = world.serve().await;
    let file = file();
    let id = server.put("März 2026.csv", &file.bytes, &[]).await;
    let form = reqwest::multipart::Part::bytes(file.bytes.clone()).file_name("b.csv").mime_str("text/csv").unwrap();
    let form = reqwest::multipart::Form::new().part("csvdata", form);
    let answer = server.http.post(format!("{}/upload", server.url)).multipart(form).send().await.unwrap();
    let told = answer.text().await.unwrap();
    let answer: Value = serde_json::from_str(&told).unwrap();
    let announced = &answer["uploadmessage"];
    let keys = [&*id, announced["uuid"].as_str().unwrap()];
    let messages = kcat::consume_keys(&service("USERDATA_TEST_KAFKA"), &world.name, &keys).await;
    let of = |id: &str| messages.iter().find(|message| message.key.as_deref() == Some(id)).expect("its message");
    let first = of(&id);
    let value: Value = serde_json::from_str(first.value.as_deref().unwrap()).unwrap();
    let (started, ended) = (value["startTime"].as_i64().unwrap(), value["endTime"].as_i64().unwrap());
    assert!(started > 1_700_000_000_000 && ended >= started);
    let path = world.path().join("data/spool").canonicalize().unwrap().join(format!("{id}.data"));
    // Byte for byte: eight fields in the original's order, numbers as numbers.
    let expected = format!(
        r#"{{"uuid":"{id}","filename":"März 2026.csv","size":{},"startTime":{started},"endTime":{ended},"totalUploadTime":{},"path":"{}","filetype":""}}"#,
        file.bytes.len(),
        ended - started,
        path.display()
    );
    assert_eq!(first.value.as_deref(), Some(expected.as_str()));
    assert_eq!((first.header("ce_subject"), first.header("ce_specversion")), (id.as_str(), "1.0"));
    assert!(["ce_id", "ce_source", "ce_type"].iter().all(|name| !first.header(name).is_empty()));
    let second = of(keys[1]);
    let value = second.value.as_deref().unwrap();
    assert_eq!(told, format!(r#"{{"info":"info","uploadmessage":{value}}}"#), "what the original's client was told");
    assert_eq!(announced["filetype"], "text/csv");
}

/// A world whose worker may also read the folder `inbox`.
async fn with_inbox(database: Database) -> (World, Server) {
    let mut world = World::on_services(database);
    let inbox = world.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let spool = world.path().join("data/spool");
    world.set("worker", &format!("paths = [\"{}\", \"{}\"]", spool.display(), inbox.display()));
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    let server = world.serve().await;
    (world, server)
}

/// An announcement in the original's form.
fn announcement(id: &str, path: &std::path::Path, size: usize) -> String {
    json!({
        "uuid": id, "filename": "stranger.csv", "size": size, "startTime": 1_488_845_854_788_u64,
        "endTime": 1_488_845_854_801_u64, "totalUploadTime": 13, "path": path, "filetype": "text/csv",
    })
    .to_string()
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_announcement_of_a_file_in_an_allowed_folder_is_processed() {
    let (world, server) = with_inbox(Database::MariaDb).await;
    let _worker = world.worker("one", &[]).await;
    let file = file();
    let path = world.write("inbox/stranger.csv", &file.bytes);
    let id = new_id();
    world.produce(&id, Some(announcement(&id, &path, file.bytes.len()).as_bytes())).await;
    let mut expected = Table::new();
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
    let upload = server.upload(&id).await;
    assert_eq!((&upload["sender"], &upload["filename"]), (&"announcement".into(), &"stranger.csv".into()));
    assert!(path.is_file(), "only what lies in the spool is ever deleted");
    let archived = world.archived();
    assert!(archived.iter().any(|(name, bytes)| name.ends_with("/stranger.csv") && *bytes == file.bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_file_of_another_size_than_announced_is_refused_by_name() {
    let (world, server) = with_inbox(Database::MySql).await;
    let _worker = world.worker("one", &[]).await;
    let path = world.write("inbox/short.csv", file().bytes);
    let id = new_id();
    world.produce(&id, Some(announcement(&id, &path, 17).as_bytes())).await;
    let upload = server.until_state(&id, "failed").await;
    let error = &upload["error"];
    assert_eq!(error["code"], "size_differs");
    assert!(error["message"].as_str().unwrap().contains("but 17 were announced"), "{error}");
    assert!(!error["next"].as_str().unwrap().is_empty(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_file_that_is_no_csv_fails_with_what_it_is_and_others_go_on() {
    let (world, server) = with_inbox(Database::MariaDb).await;
    let mut worker = world.worker("one", &[]).await;
    let names = "secret-of-a-row,another,third\n1,2,3\n";
    let mut expected = Table::new();
    for (content, code, says) in [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(), "not_csv", "the file is a PDF document"),
        (names.as_bytes().to_vec(), "column_not_found", "the header has: secret-of-a-row, another, third"),
        (vec![], "empty_file", "the file is empty"),
    ] {
        let path = world.write(&format!("inbox/{code}.csv"), &content);
        let id = new_id();
        world.produce(&id, Some(announcement(&id, &path, content.len()).as_bytes())).await;
        let error = server.until_state(&id, "failed").await["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(says) && error["next"].is_string(), "{error}");
    }
    let (id, file) = (new_id(), file());
    let path = world.write("inbox/good.csv", &file.bytes);
    world.produce(&id, Some(announcement(&id, &path, file.bytes.len()).as_bytes())).await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert!(worker.terminate().await.success());
    assert!(!worker.log().contains("secret-of-a-row"), "what stands in a file is in the log:\n{}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_processed_is_parked_with_its_reason_and_the_partition_goes_on() {
    let (world, server) = with_inbox(Database::MySql).await;
    let file = file();
    let secret = world.write("secret.csv", &file.bytes);
    let inbox = world.path().join("inbox");
    std::os::unix::fs::symlink(&secret, inbox.join("link.csv")).unwrap();
    let size = file.bytes.len();
    let announced = |path: &std::path::Path| announcement(&new_id(), path, size).into_bytes();
    let large = format!("{{\"uuid\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes();
    let not_inside = "is not inside a folder that workers may read (worker.paths)";
    let good_but_deep = announced(&inbox.join("good.csv"));
    let deep_inside = [&good_but_deep[..good_but_deep.len() - 1], b",\"more\":", &[b'['; 50_000]].concat();
    let impossible = announcement(&new_id(), &inbox.join("good.csv"), usize::MAX).into_bytes();
    let bad: [(&str, Option<Vec<u8>>, &str); 11] = [
        ("outside", Some(announced(&secret)), not_inside),
        ("dots", Some(announced(&inbox.join("../secret.csv"))), not_inside),
        ("symlink", Some(announced(&inbox.join("link.csv"))), not_inside),
        ("relative", Some(announced("inbox/stranger.csv".as_ref())), not_inside),
        ("empty", Some(vec![]), "the message is empty"),
        ("tombstone", None, "the message is empty"),
        ("words", Some(b"good morning".to_vec()), "the message is not an announcement: expected value"),
        ("deep", Some(vec![b'['; 60_000]), "the message is not an announcement: "),
        ("deep inside", Some(deep_inside), "the message is not an announcement: EOF while parsing"),
        ("large", Some(large.clone()), "the message has 1000011 bytes, an announcement at most 65536"),
        ("size", Some(impossible), "a size of 18446744073709551615 bytes is impossible"),
    ];
    for (key, value, _) in &bad {
        world.produce(key, value.as_deref()).await;
    }
    let id = new_id();
    let path = world.write("inbox/good.csv", &file.bytes);
    world.produce(&id, Some(announcement(&id, &path, size).as_bytes())).await;
    let mut worker = world.worker("one", &[]).await;
    let mut expected = Table::new();
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected, "nothing outside was read");
    let parked = world.consume(&format!("{}.dlq", world.name), bad.len()).await;
    assert_eq!(parked.len(), bad.len());
    for (at, (key, value, reason)) in bad.iter().enumerate() {
        let message = parked.iter().find(|message| message.key.as_deref() == Some(key)).expect(key);
        assert!(message.header(REASON).contains(reason), "{key}: {}", message.header(REASON));
        let sent = value.as_deref().map(|value| std::str::from_utf8(value).unwrap());
        assert_eq!(message.value.as_deref().unwrap_or_default(), sent.unwrap_or_default(), "{key}");
        assert_eq!(message.header("__connect.errors.topic"), world.name);
        assert_eq!(message.header("__connect.errors.offset"), at.to_string());
        assert_eq!(message.header("userdata.size"), sent.map_or(0, str::len).to_string());
    }
    assert!(worker.terminate().await.success());
    let log = worker.log();
    assert!(log.contains("parked a message that cannot be processed") && !log.contains("good morning"), "{log}");
}
