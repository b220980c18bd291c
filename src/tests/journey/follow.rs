//! A script follows an upload to its end by server-sent events, and asks before it sends the same file again.

use serde_json::Value;
use tokio::time::timeout;

use crate::{
    generator::{File, Spec, Table, generate},
    process::DEADLINE,
    world::{Database, Server, World, counts},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_followed_to_its_end_embedded() {
    let world = World::embedded();
    let server = world.serve().await;
    followed(&world, &server).await;
}

/// What a worker does elsewhere, the server learns from the database.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_followed_to_its_end_on_services() {
    let mut world = World::set_up(Database::MySql).await;
    world.share_the_spool();
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    followed(&world, &server).await;
}

async fn followed(world: &World, server: &Server) {
    let file = generate(&Spec { rows: 50_000, ..Spec::default() });
    assert!(known(server, &file).await.is_empty());
    let mut all = server.http.get(format!("{}/events", server.url)).send().await.unwrap();
    let id = server.put("users.csv", &file.bytes, &[]).await;
    let one = server.http.get(format!("{}/events?upload={id}", server.url)).send().await.unwrap();
    let told = events(&timeout(DEADLINE, one.text()).await.expect("it ends with the upload").unwrap());
    let mut expected = Table::new();
    let last = &told.last().unwrap().1;
    assert_eq!(counts(last), file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
    assert_eq!(*last, server.upload(&id).await, "the last event is the whole view");
    in_order(&told, &id);

    let mut text = String::new();
    let heard = async {
        loop {
            text.push_str(std::str::from_utf8(&all.chunk().await.unwrap().expect("it goes on")).unwrap());
            let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
            let of_it: Vec<_> = events(whole).into_iter().filter(|(_, view)| view["id"] == *id).collect();
            if of_it.last().is_some_and(|(_, view)| view["state"] == "done") {
                return of_it;
            }
        }
    };
    in_order(&timeout(DEADLINE, heard).await.expect("whoever follows all hears of its end"), &id);
    assert_eq!(known(server, &file).await, [id]);
}

/// Number and view of each event about an upload.
fn events(text: &str) -> Vec<(u64, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("event: upload\n"));
    let line = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}in {block}"));
        line.to_owned()
    };
    let event = |block| (line(block, "id: ").parse().unwrap(), serde_json::from_str(&line(block, "data: ")).unwrap());
    blocks.map(event).collect()
}

/// Numbers grow, states never go back, and nothing is told of others.
fn in_order(told: &[(u64, Value)], id: &str) {
    const WAY: [&str; 6] = ["receiving", "received", "archiving", "archived", "loading", "done"];
    let place = |view: &Value| WAY.iter().position(|state| view["state"] == *state).unwrap_or_else(|| panic!("{view}"));
    for (before, after) in told.iter().zip(&told[1..]) {
        assert!(before.0 < after.0 && place(&before.1) <= place(&after.1), "{before:?}, then {after:?}");
    }
    assert!(told.iter().all(|(_, view)| view["id"] == *id));
    assert_eq!(told.last().unwrap().1["state"], "done");
}

/// Ids of the uploads that have this content.
async fn known(server: &Server, file: &File) -> Vec<String> {
    let (head, rest) = file.bytes.split_at(file.bytes.len().min(64 << 10));
    let ends = [head, &rest[rest.len() - rest.len().min(64 << 10)..]].concat();
    let url = format!("{}/known?size={}", server.url, file.bytes.len());
    let answer: Value = server.http.post(url).body(ends).send().await.unwrap().json().await.unwrap();
    let uploads = answer["uploads"].as_array().unwrap_or_else(|| panic!("{answer}"));
    uploads.iter().map(|view| view["id"].as_str().unwrap().to_owned()).collect()
}
