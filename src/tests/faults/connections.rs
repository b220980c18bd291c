//! The database drops the worker in mid-load: it goes on by itself, and every count is exact.

use mysql_async::prelude::Queryable;

use crate::{
    generator::{Spec, Table, generate},
    hold::Hold,
    private::Private,
    scene::{LONG, Scene, on_services},
    world::{
        Database::{self, MariaDb, MySql},
        World,
    },
};

/// From another session.
async fn kill_connections(world: &World) -> usize {
    let mut connection = world.connect().await;
    let sql =
        format!("select id from information_schema.processlist where db = '{}' and id <> connection_id()", world.name);
    let ids: Vec<u64> = connection.query(sql).await.unwrap();
    for id in &ids {
        // One that is gone meanwhile is as good.
        let _ = connection.query_drop(format!("kill connection {id}")).await;
    }
    ids.len()
}

async fn a_load_goes_on_after_its_connections_were_killed(database: Database) {
    let mut world = on_services(database).await;
    // Nobody dies here, and a busy disk keeps heartbeats waiting.
    world.set("worker", "lease_s = 30");
    let server = world.serve().await;
    let hold = Hold::at(&world, "transaction");
    let mut worker = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, 2_000).await;
    hold.reached(&mut worker).await;
    assert!(kill_connections(&world).await >= 2, "the load's own and the heartbeats'");
    hold.release();
    scene.ends_well(&world, &server).await;
    worker.logged("doing a transaction again").await;
    let history = scene.history(&server).await;
    let claims = history.iter().filter(|event| event.starts_with("claimed")).count();
    assert_eq!(claims, 1, "it goes on under the claim it has: {history:?}\n{}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_after_its_connections_were_killed_on_mysql() {
    a_load_goes_on_after_its_connections_were_killed(MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_after_its_connections_were_killed_on_mariadb() {
    a_load_goes_on_after_its_connections_were_killed(MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_go_on_after_the_database_was_killed_and_started_again_five_times() {
    let mysql = Private::new(true);
    let world = on_services(mysql.start().await).await;
    let server = world.serve().await;
    let mut table = Table::new();
    let kills = [("transaction", 1), ("loading", 4), ("transaction", 12), ("loading", 20), ("transaction", 33)];
    for (seed, (point, nth)) in (1..).zip(kills) {
        let existing = if seed % 2 == 0 { "keep" } else { "replace" };
        let shared = Some((seed - 1, 0.5)).filter(|_| seed > 1);
        let file = generate(&Spec { seed, rows: LONG, shared, ..Spec::default() });
        let hold = Hold::nth(&world, point, nth);
        let mut worker = hold.worker(&world, "one", &[]);
        let id = server.put("users.csv", &file.bytes, &[("existing", existing)]).await;
        hold.reached(&mut worker).await;
        mysql.kill().await;
        hold.release();
        worker.logged("doing a transaction again").await;
        mysql.start().await;
        let expected = if existing == "keep" { file.keep(&mut table) } else { file.replace(&mut table) };
        assert_eq!(server.done(&id).await, expected, "killed at {point} {nth}");
        assert!(world.table().await == table, "the table is not what the files hold, killed at {point} {nth}");
        assert!(worker.terminate().await.success(), "{}", worker.log());
    }
}
