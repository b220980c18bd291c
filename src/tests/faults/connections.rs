//! The database drops the worker in mid-load: it goes on by itself, and every count is exact.

use std::process::Stdio;

use mysql_async::prelude::Queryable;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    hold::Hold,
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
    let world = on_services(database).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "transaction");
    let mut worker = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, 2_000).await;
    hold.reached(&mut worker).await;
    assert!(kill_connections(&world).await >= 2, "the load's own and the heartbeats'");
    hold.release();
    scene.ends_well(&world, &server).await;
    worker.logged("doing a transaction again").await;
    let claims = scene.history(&server).await.iter().filter(|event| event.starts_with("claimed")).count();
    assert_eq!(claims, 1, "it goes on under the claim it has");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_after_its_connections_were_killed_on_mysql() {
    a_load_goes_on_after_its_connections_were_killed(MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_after_its_connections_were_killed_on_mariadb() {
    a_load_goes_on_after_its_connections_were_killed(MariaDb).await;
}

/// A MySQL of this test alone, which may be killed.
struct Private(TempDir);

impl Private {
    async fn start(&self) -> Database {
        self.run("start").await;
        let port = std::fs::read_to_string(self.0.path().join("mysql/port")).unwrap();
        Database::At(format!("127.0.0.1:{}", port.trim()).parse().unwrap())
    }

    async fn run(&self, order: &str) {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/compose/services"));
        command.args([order, "mysql"]).env("USERDATA_SERVICES", self.0.path()).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{order}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_after_the_database_was_killed_and_started_again() {
    let mysql = Private(tempfile::tempdir().unwrap());
    let world = on_services(mysql.start().await).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "transaction");
    let mut worker = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, LONG).await;
    hold.reached(&mut worker).await;
    mysql.run("kill").await;
    hold.release();
    worker.logged("doing a transaction again").await;
    mysql.start().await;
    scene.ends_well(&world, &server).await;
    drop((server, worker));
    mysql.run("stop").await;
}
