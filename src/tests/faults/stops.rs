//! Workers that stand still beyond their lease and wake up, and workers that are told to stop.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    generator::Table,
    hold::Hold,
    process::{DEADLINE, Role},
    scene::{LONG, Scene, on_services},
    world::{
        Database::{self, MariaDb, MySql},
        Server, World,
    },
};

/// What nobody may change any more once the file is done.
async fn everything(world: &World) -> (Table, Vec<(String, Vec<u8>)>, Vec<String>) {
    let mut connection = world.connect().await;
    let ledger: Vec<String> = mysql_async::prelude::Queryable::query(
        &mut connection,
        "select concat_ws('|', state, fence, beat, receipt) from userdata_upload",
    )
    .await
    .unwrap();
    (world.table().await, world.archived(), ledger)
}

async fn a_stopped_worker_that_wakes_up_changes_nothing_more(database: Database, point: &'static str) {
    let world = on_services(database).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, point);
    let mut first = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, LONG).await;
    hold.reached(&mut first).await;
    first.signal(Signal::STOP);
    let second = world.worker("two", &[]).await;
    scene.ends_well(&world, &server).await;
    let before = everything(&world).await;
    hold.release();
    first.signal(Signal::CONT);
    first.logged("\"outcome\":\"Lost\"").await;
    assert!(everything(&world).await == before, "the worker that woke up has changed something:\n{}", first.log());
    // It works on as if nothing had happened.
    drop(second);
    let next = Scene::begin(&server, 1).await;
    server.until_state(&next.id, "done").await;
    let upload = server.upload(&next.id).await;
    assert_eq!(upload["read"], 1, "{}", first.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_a_transaction_changes_nothing_when_it_wakes_up_on_mysql() {
    a_stopped_worker_that_wakes_up_changes_nothing_more(MySql, "transaction").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_a_transaction_changes_nothing_when_it_wakes_up_on_mariadb() {
    a_stopped_worker_that_wakes_up_changes_nothing_more(MariaDb, "transaction").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_a_transfer_changes_nothing_when_it_wakes_up_on_mysql() {
    a_stopped_worker_that_wakes_up_changes_nothing_more(MySql, "transfer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_a_transfer_changes_nothing_when_it_wakes_up_on_mariadb() {
    a_stopped_worker_that_wakes_up_changes_nothing_more(MariaDb, "transfer").await;
}

/// SIGTERM; it has to leave well before a supervisor loses its patience.
async fn leaves(worker: &mut Role) {
    let ended = tokio::time::timeout(DEADLINE / 6, worker.terminate()).await;
    assert!(ended.is_ok_and(|status| status.success()), "{}", worker.log());
}

/// A part of the original is in the archive, and nobody has the upload.
async fn transfer_handed_back(world: &World, server: &Server) -> Scene {
    let hold = Hold::at(world, "transfer");
    let mut worker = hold.worker(world, "one", &[]);
    let scene = Scene::begin(server, LONG).await;
    hold.reached(&mut worker).await;
    leaves(&mut worker).await;
    let upload = server.upload(&scene.id).await;
    assert_eq!(
        (&upload["state"], &upload["owner"], &upload["attempts"]),
        (&"archiving".into(), &Value::Null, &0.into())
    );
    let archived = world.archived();
    let [(left, bytes)] = archived.as_slice() else { panic!("in the archive is {archived:?}") };
    assert!(left.ends_with(".part") && !bytes.is_empty() && scene.file.bytes.starts_with(bytes), "{left}");
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_handed_back_goes_on_where_it_was() {
    let world = on_services(MySql).await;
    let server = world.serve().await;
    let scene = transfer_handed_back(&world, &server).await;
    let mut command = world.worker_command("two", &[]);
    let mut second = Role::start("two", command.env("RUST_LOG", "userdata=debug"));
    scene.ends_well(&world, &server).await;
    second.logged("going on with the transfer that was handed back").await;
    assert!(scene.history(&server).await.contains(&"handed back".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_cancelled_leaves_nothing_in_the_archive() {
    let world = on_services(MySql).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "transfer");
    let mut worker = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, LONG).await;
    hold.reached(&mut worker).await;
    let in_archive = || world.archived().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let begun = in_archive();
    assert!(matches!(&*begun, [name] if name.ends_with(".part")), "in the archive is {begun:?}");
    let cancelled = server.http.post(format!("{}/uploads/{}/cancel", server.url, scene.id)).send().await.unwrap();
    assert_eq!(cancelled.status(), 202);
    server.until_state(&scene.id, "cancelled").await;
    hold.release();
    assert!(in_archive().is_empty(), "in the archive is {:?}\n{}", in_archive(), worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_transfer_that_was_handed_back_and_then_cancelled_nothing_stays_in_the_archive() {
    let world = on_services(MySql).await;
    let server = world.serve().await;
    let scene = transfer_handed_back(&world, &server).await;
    let cancelled = server.http.post(format!("{}/uploads/{}/cancel", server.url, scene.id)).send().await.unwrap();
    assert_eq!(cancelled.status(), 200);
    let _second = world.worker("two", &[]).await;
    let gone = async {
        while !world.archived().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, gone).await;
    assert!(
        waited.is_ok(),
        "in the archive is {:?}",
        world.archived().into_iter().map(|file| file.0).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_was_handed_back_goes_on_behind_its_watermark() {
    let world = on_services(MariaDb).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "loading");
    let mut first = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, LONG).await;
    hold.reached(&mut first).await;
    first.signal(Signal::TERM);
    first.logged("stopping the work").await;
    hold.release();
    leaves_now(&mut first).await;
    let upload = server.upload(&scene.id).await;
    assert_eq!((&upload["state"], &upload["owner"]), (&"loading".into(), &Value::Null));
    let stored = world.table().await.len() as u64;
    assert!(stored > 0 && stored < scene.counts.inserted, "{stored} rows are stored");
    let mut second = world.worker("two", &[]).await;
    scene.ends_well(&world, &server).await;
    leaves(&mut second).await;
}

async fn leaves_now(worker: &mut Role) {
    let ended = tokio::time::timeout(DEADLINE / 6, worker.ended()).await;
    assert!(ended.is_ok_and(|status| status.success()), "{}", worker.log());
}
