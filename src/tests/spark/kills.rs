//! kill -9 of an executor, of the Connect server, of the worker in each stage: in the end nobody can tell.

use crate::{
    cluster::{Cluster, HeldTask, kill, swept, until},
    hold::Hold,
    same::{hard, hard_id},
    scene::Scene,
    world::{Server, World},
};

/// Several chunks of 64 KiB.
const ROWS: u64 = 6_000;

/// As if nothing had happened, and nothing is left of it.
async fn ends_well(scene: &Scene, world: &World, server: &Server) {
    server.done(&scene.id).await;
    // A worker sweeps when it starts.
    let _sweeper = world.worker("sweeper", &[]).await;
    swept(world).await;
    scene.ends_well(world, server).await;
    let history = scene.history(server).await.join("\n");
    assert!(history.contains("Spark"), "it was not done by Spark:\n{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_an_undisturbed_job() {
    let cluster = Cluster::shared().await;
    let world = cluster.world().await;
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    let scene = Scene::begin(&server, ROWS).await;
    ends_well(&scene, &world, &server).await;
}

async fn an_executor_killed_in(task: &str) {
    let cluster = Cluster::alone().await;
    let world = cluster.world().await;
    let held = HeldTask::in_each(&world, task);
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    let scene = Scene::begin(&server, ROWS).await;
    let executor = held.reached().await;
    kill(executor);
    held.release();
    ends_well(&scene, &world, &server).await;
    assert!(!cluster.executors().contains(&executor));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_killed_while_it_cleans() {
    an_executor_killed_in("spark-clean").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_killed_while_it_makes_a_part() {
    an_executor_killed_in("spark-part").await;
}

async fn the_connect_server_killed_in(task: &str) {
    let cluster = Cluster::alone().await;
    let world = cluster.world().await;
    let held = HeldTask::in_each(&world, task);
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    let scene = Scene::begin(&server, ROWS).await;
    held.reached().await;
    cluster.kill_connect().await;
    held.release();
    let waits = |upload: &serde_json::Value| upload["waiting"]["for"] == "spark";
    server.until(&scene.id, "waiting for Spark", waits).await;
    until("two executors of the new Connect server", || cluster.executors().len() == 2).await;
    ends_well(&scene, &world, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connect_server_killed_while_executors_clean() {
    the_connect_server_killed_in("spark-clean").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connect_server_killed_while_executors_make_parts() {
    the_connect_server_killed_in("spark-part").await;
}

async fn a_worker_killed_while_spark_is_in(task: &str) {
    let cluster = Cluster::shared().await;
    let world = cluster.world().await;
    let held = HeldTask::in_each(&world, task);
    let server = world.serve().await;
    let mut first = world.worker("one", &[]).await;
    let scene = Scene::begin(&server, ROWS).await;
    held.reached().await;
    first.kill().await;
    let _second = world.worker("two", &[]).await;
    held.release();
    ends_well(&scene, &world, &server).await;
}

async fn a_worker_killed_at(point: &'static str) {
    let cluster = Cluster::shared().await;
    let world = cluster.world().await;
    let server = world.serve().await;
    let hold = Hold::at(&world, point);
    let mut first = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, ROWS).await;
    hold.reached(&mut first).await;
    first.kill().await;
    let _second = world.worker("two", &[]).await;
    ends_well(&scene, &world, &server).await;
    assert!(scene.history(&server).await.iter().any(|event| event.contains("stopped answering")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_hard_to_pass_on_are_gone_on_with_in_mid_range() {
    let cluster = Cluster::shared().await;
    let world = cluster.world().await;
    let server = world.serve().await;
    let hold = Hold::nth(&world, "loading", 20);
    let mut first = hold.worker(&world, "one", &[]);
    let id = server.put("users.csv", &hard(9_000, 7_000), &[]).await;
    hold.reached(&mut first).await;
    first.kill().await;
    let _second = world.worker("two", &[]).await;
    let counts = server.done(&id).await;
    assert_eq!((counts.inserted, counts.duplicates, counts.rejected), (7_000, 2_000, 0));
    let row = |number| (hard_id(number), (format!("a{number}"), "2017-03-07T00:00:00.000Z".to_owned()));
    assert!(world.table().await == (0..7_000).map(row).collect(), "the table is not what the file holds");
}

macro_rules! killed {
    ($($name:ident: $journey:ident($argument:expr);)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $journey($argument).await;
        })*
    };
}

killed! {
    a_worker_killed_while_executors_clean: a_worker_killed_while_spark_is_in("spark-clean");
    a_worker_killed_while_executors_make_parts: a_worker_killed_while_spark_is_in("spark-part");
    a_worker_killed_after_its_claim: a_worker_killed_at("claimed");
    a_worker_killed_in_mid_transfer: a_worker_killed_at("transfer");
    a_worker_killed_behind_the_archive: a_worker_killed_at("archived");
    a_worker_killed_before_the_job: a_worker_killed_at("spark");
    a_worker_killed_behind_the_job: a_worker_killed_at("collected");
    a_worker_killed_behind_the_check: a_worker_killed_at("cleaned");
    a_worker_killed_behind_the_rejects: a_worker_killed_at("rejects");
    a_worker_killed_behind_the_manifest: a_worker_killed_at("split");
    a_worker_killed_inside_a_transaction: a_worker_killed_at("transaction");
    a_loader_killed_in_mid_range: a_worker_killed_at("loading");
    a_worker_killed_before_done: a_worker_killed_at("finish");
}
