//! An original comes back from the archive.

use crate::{
    generator::{Spec, generate},
    world::{Database, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_original_is_brought_back_from_the_ftp_server_and_a_changed_one_is_not() {
    let world = World::set_up(Database::MySql).await;
    let bytes = generate(&Spec { rows: 20_000, ..Spec::default() }).bytes;
    world.write("users.csv", &bytes);
    world.run(&["import", "users.csv", "-q"]).await.expect(3);
    let listed = world.run(&["status", "--json"]).await.expect(0);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout()).unwrap();
    let id = listed["uploads"][0]["id"].as_str().unwrap();
    world.run(&["fetch", id, "-o", "back.csv"]).await.expect(0);
    assert!(std::fs::read(world.path().join("back.csv")).unwrap() == bytes);

    let (name, mut archived) = world.archived().into_iter().find(|(name, _)| name.ends_with("/users.csv")).unwrap();
    *archived.last_mut().unwrap() ^= 1;
    std::fs::write(world.archive().join(name), archived).unwrap();
    let refused = world.run(&["fetch", id, "-o", "changed.csv"]).await.expect(1);
    assert!(refused.stderr().contains("is not what was received: its SHA-256 is"), "{}", refused.stderr());
    assert!(!world.path().join("changed.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_archived_is_said_to_come_or_to_be_elsewhere() {
    let mut world = World::embedded();
    // Nobody works on its uploads.
    world.set("queue", "kind = \"kafka\"");
    world.set("queue.kafka", "brokers = \"127.0.0.1:9\"");
    let server = world.serve().await;
    let id = server.put("users.csv", b"id,name,time_of_start\n1,a,2017-03-07\n", &[]).await;
    server.until_state(&id, "received").await;
    let later = world.run(&["fetch", &id, "-o", "back.csv"]).await.expect(5);
    assert!(later.stderr().contains("is not in the archive yet: it is received"), "{}", later.stderr());
    world.run(&["cancel", &id]).await.expect(0);
    let never = world.run(&["fetch", &id, "-o", "back.csv"]).await.expect(1);
    assert!(never.stderr().contains(&format!("GET /uploads/{id}/content")), "{}", never.stderr());
}
