//! Once more with other options, from bytes that are there already; and rejects that are mended and sent back.

use serde_json::{Value, json};

use crate::{
    content::gzip,
    generator::{Spec, Table, Times, generate},
    world::{Database, Server, World},
};

const LOCAL_TIMES: &[u8] = b"id,name,time_of_start\n1,Ada,2017-07-07 12:00:00\n2,BOB,07-12-17 12:00:00\n3,c,07-12-17\n";

/// The table when the times are read in this zone.
fn in_zone(summer: &str, winter: &str) -> Table {
    let row = |id: &str, name: &str, time: &str| (id.into(), (name.into(), time.into()));
    [row("1", "ada", summer), row("2", "bob", winter)].into()
}

fn utc() -> Table {
    in_zone("2017-07-07T12:00:00.000Z", "2017-12-07T12:00:00.000Z")
}

fn berlin() -> Table {
    in_zone("2017-07-07T10:00:00.000Z", "2017-12-07T11:00:00.000Z")
}

fn new_york() -> Table {
    in_zone("2017-07-07T16:00:00.000Z", "2017-12-07T17:00:00.000Z")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_zone_is_put_right_from_the_spool_and_from_the_archive_embedded() {
    let world = World::embedded();
    let server = world.serve().await;
    put_right(&world, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_zone_is_put_right_from_the_spool_and_from_the_archive_on_services() {
    let mut world = World::on_services(Database::MySql);
    let spool = world.path().join("data/spool");
    world.set("worker", &format!("paths = [\"{}\"]", spool.display()));
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    put_right(&world, &server).await;
}

async fn put_right(world: &World, server: &Server) {
    let first = server.put("local.csv", LOCAL_TIMES, &[]).await;
    let counts = server.done(&first).await;
    assert_eq!((counts.inserted, counts.rejected), (2, 1));
    assert_eq!(world.table().await, utc());
    let remarks = server.upload(&first).await["remarks"].to_string();
    assert!(remarks.contains(&format!("userdata again {first} --existing replace --zone ZONE")), "{remarks}");
    // As the remark says, from the spool.
    let arguments = ["again", first.as_str(), "--existing", "replace", "--zone", "Europe/Berlin"];
    let second = world.run(&arguments).await.expect(0).stdout().trim().to_owned();
    let counts = server.done(&second).await;
    assert_eq!((counts.replaced, counts.rejected), (2, 1));
    assert_eq!(world.table().await, berlin());
    let upload = server.upload(&second).await;
    assert_eq!((&upload["again_of"], &upload["filename"]), (&first.as_str().into(), &"local.csv".into()));
    // And from the archive, when the spool has nothing any more.
    for id in [&first, &second] {
        for kind in ["data", "info.json"] {
            std::fs::remove_file(world.path().join(format!("data/spool/{id}.{kind}"))).unwrap();
        }
    }
    let third = again(server, &second, json!({ "zone": "America/New_York" })).await;
    assert_eq!(server.done(&third).await.replaced, 2);
    assert_eq!(world.table().await, new_york());
    let originals = world.archived().into_iter().filter(|(_, bytes)| bytes == LOCAL_TIMES).count();
    assert_eq!(originals, 1, "the original is not stored twice");
    // Each has rejects of its own.
    for id in [&first, &second, &third] {
        let rejects = rejects(server, id).await;
        assert_eq!(rejects.lines().count(), 2, "{rejects}");
        assert_eq!(world.run(&["rejects", id]).await.expect(0).stdout(), rejects);
    }
    let content = server.http.get(format!("{}/uploads/{third}/content", server.url)).send().await.unwrap();
    assert_eq!(content.bytes().await.unwrap(), LOCAL_TIMES);
}

async fn again(server: &Server, id: &str, options: Value) -> String {
    let url = format!("{}/uploads/{id}/again", server.url);
    let answer = server.http.post(url).json(&options).send().await.unwrap();
    let (status, body): (_, Value) = (answer.status().as_u16(), answer.json().await.unwrap());
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

async fn rejects(server: &Server, id: &str) -> String {
    let answer = server.http.get(format!("{}/uploads/{id}/rejects", server.url)).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_nowhere_any_more_are_said_to_be_gone() {
    let world = World::embedded();
    let server = world.serve().await;
    let id = server.put("quote.csv", b"id,name,time_of_start\n1,\"a,2017-03-07\n", &[]).await;
    server.until_state(&id, "failed").await;
    let none = "01234567-89ab-7def-8123-456789abcdef";
    let ended = world.run(&["again", none]).await.expect(4);
    assert!(ended.stderr().contains(&format!("error: there is no upload {none} (")), "{}", ended.stderr());
    // What failed can be loaded again too, whatever became of it.
    let second = world.run(&["again", &id]).await.expect(0).stdout().trim().to_owned();
    server.until_state(&second, "failed").await;
    std::fs::remove_dir_all(world.archive()).unwrap();
    std::fs::remove_file(world.path().join(format!("data/spool/{id}.data"))).unwrap();
    let third = world.run(&["again", &id]).await.expect(0).stdout().trim().to_owned();
    let upload = server.until(&third, "waiting", |upload| upload["waiting"].is_object()).await;
    assert_eq!(upload["waiting"]["for"], "source", "{upload}");
    assert!(upload["waiting"]["message"].as_str().unwrap().contains("quote.csv"), "{upload}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_rejects_store_nothing_and_mended_ones_load_when_sent_back() {
    let world = World::embedded();
    let server = world.serve().await;
    let file = b"id;name;time_of_start;note\n1;Ada;2017-03-07;x\n2;Bob;03/04/2017;\"a;b\"\n;Cy;2017-03-07;\n";
    let id = server.put("users.csv", file, &[("max_rejects", "1")]).await;
    let upload = server.until_state(&id, "failed").await;
    let error = &upload["error"];
    assert_eq!(error["code"], "too_many_rejects");
    assert_eq!(error["message"], "2 of 3 rows are rejects, more than max_rejects (1) allows; nothing was stored");
    assert!(error["next"].as_str().unwrap().contains(&format!("userdata rejects {id}")), "{error}");
    assert_eq!((&upload["read"], &upload["rejected"]), (&3.into(), &2.into()), "{upload}");
    assert!(world.table().await.is_empty());
    let expected = "_line;_field;_reason;id;name;time_of_start;note\r\n";
    let rejects = rejects(&server, &id).await;
    assert!(rejects.starts_with(expected) && rejects.contains("2;Bob;03/04/2017;\"a;b\""), "{rejects}");
    assert_eq!(world.run(&["rejects", &id]).await.expect(0).stdout(), rejects);
    let shown = world.run(&["status", &id]).await.expect(0).stdout();
    assert!(shown.contains(&format!("userdata rejects {id} -o rejects.csv")), "{shown}");
    assert!(shown.contains("e.g. line 3: \"03/04/2017\""), "{shown}");
    // The good rows, with a higher limit; and the others, mended, as they came.
    world.run(&["retry", &id, "--max-rejects", "70%"]).await.expect(0);
    assert_eq!(server.done(&id).await.inserted, 1);
    let mended = rejects.replace("03/04/2017", "2017-04-03").replace(";;Cy;", ";3;Cy;");
    let sent_back = server.put("rejects.csv", mended.as_bytes(), &[]).await;
    assert_eq!(server.done(&sent_back).await.inserted, 2);
    let table = world.table().await;
    assert_eq!(table.keys().collect::<Vec<_>>(), ["1", "2", "3"], "{table:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_good_row_failed_and_its_rejects_are_there() {
    let world = World::embedded();
    world.write("none.csv", "id,name,time_of_start\n1,a,soon\n");
    let ended = world.run(&["import", "none.csv"]).await.expect(1);
    assert_eq!(ended.stdout(), "Failed: its only row is a reject; nothing was stored\n");
    assert!(ended.stderr().contains("e.g. line 2: \"soon\" is not a time"), "{}", ended.stderr());
    let line = ended.stderr().lines().find(|line| line.starts_with("next: ")).expect("a next step").to_owned();
    let id = line.split_whitespace().find(|word| word.len() == 36).expect("the id");
    let rejects = world.run(&["rejects", id]).await.expect(0).stdout();
    assert!(rejects.starts_with("_line,_field,_reason,id,name,time_of_start\r\n2,time_of_start,"), "{rejects}");
    world.run(&["rejects", id, "-o", "rejects.csv"]).await.expect(0);
    let mended = rejects.replace("1,a,soon", "1,a,2017-03-07");
    world.write("rejects.csv", mended);
    world.run(&["import", "rejects.csv"]).await.expect(0);
    assert_eq!(world.table().await["1"].1, "2017-03-07T00:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_file_loads_like_the_plain_one_also_of_several_members() {
    let file = generate(&Spec { rows: 500, times: Times::Mixed, ..Spec::default() });
    let (head, tail) = file.bytes.split_at(file.bytes.len() / 2);
    for packed in [gzip(&file.bytes), [gzip(head), gzip(tail)].concat()] {
        let world = World::embedded();
        let server = world.serve().await;
        let mut expected = Table::new();
        let id = server.put("users.csv.gz", &packed, &[]).await;
        assert_eq!(server.done(&id).await, file.keep(&mut expected));
        assert_eq!(world.table().await, expected);
        assert_eq!(server.upload(&id).await["size"], packed.len());
        assert!(world.archived().iter().any(|(_, bytes)| *bytes == packed), "archived is what was sent");
    }
}
