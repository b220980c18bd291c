//! The four roles as processes of their own on real Kafka, FTP and databases.

use rustix::process::Signal;

use crate::{
    generator::{Spec, Table, Times, generate},
    world::{Database, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn two_files_go_the_whole_way_over_a_shared_spool_on_mysql() {
    whole_way(Database::MySql, "keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_go_the_whole_way_over_a_shared_spool_on_mariadb() {
    whole_way(Database::MariaDb, "keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_overlapping_files_replace_rows_on_mysql() {
    whole_way(Database::MySql, "replace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_overlapping_files_replace_rows_on_mariadb() {
    whole_way(Database::MariaDb, "replace").await;
}

async fn whole_way(database: Database, existing: &str) {
    let mut world = World::on_services(database);
    let spool = format!(
        "paths = [\"{}\"]",
        world.path().join("data/spool").canonicalize().unwrap_or_else(|_| world.path().join("data/spool")).display()
    );
    world.set("worker", &spool);
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    let server = world.serve().await;
    let (mut first, mut second) = (world.worker("one", &[]).await, world.worker("two", &[]).await);
    let files = [
        generate(&Spec::default()),
        generate(&Spec { seed: 2, shared: Some((1, 0.5)), times: Times::Rfc3339, ..Spec::default() }),
    ];
    let mut expected = Table::new();
    for file in &files {
        let counts = if existing == "keep" { file.keep(&mut expected) } else { file.replace(&mut expected) };
        let id = server.put("users.csv", &file.bytes, &[("existing", existing)]).await;
        assert_eq!(server.done(&id).await, counts);
    }
    assert_eq!(world.table().await, expected);
    for worker in [&mut first, &mut second] {
        worker.signal(Signal::TERM);
        assert!(worker.ended().await.success(), "{}", worker.log());
    }
}
