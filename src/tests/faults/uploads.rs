//! `serve` dies while a file comes in, and between the disk and the ledger.

use std::{io, time::Duration};

use rustix::process::Signal;

use crate::{
    hold::Hold,
    process::DEADLINE,
    scene::{Scene, embedded, on_services},
    world::{Database::MySql, Server, World},
};

/// Files in the spool, but for its own note.
fn spooled(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.path().join("data/spool")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "spool.json").collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waited).await.unwrap_or_else(|_| panic!("{what} did not come about"));
}

/// A sender that has sent rows and is silent now.
async fn half_an_upload(world: &World, server: &Server) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
    let rows: String = (0..1000).map(|n| format!("id-{n},Ada,2020-01-01T00:00:00Z\n")).collect();
    let (mut sender, receiver) = tokio::io::duplex(1 << 20);
    tokio::io::AsyncWriteExt::write_all(&mut sender, format!("id,name,time_of_start\n{rows}").as_bytes())
        .await
        .unwrap();
    let request = server.http.put(format!("{}/uploads/half.csv", server.url));
    let request = request.body(reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(receiver)));
    let sending = tokio::spawn(async move {
        let answer = request.send().await;
        drop::<io::Result<()>>(tokio::io::AsyncWriteExt::shutdown(&mut sender).await);
        answer
    });
    let part = || spooled(world).into_iter().find(|name| name.ends_with(".part"));
    let size =
        |name: String| std::fs::metadata(world.path().join("data/spool").join(name)).map_or(0, |found| found.len());
    until("the upload's beginning on disk", || part().map_or(0, size) > 0).await;
    sending
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_upload_whose_server_was_killed_nothing_is_left() {
    let world = embedded();
    let mut server = world.serve().await;
    let sending = half_an_upload(&world, &server).await;
    server.role.kill().await;
    assert!(sending.await.unwrap().is_err(), "the sender must see that it failed");
    let server = world.serve().await;
    until("an empty spool", || spooled(&world).is_empty()).await;
    Scene::begin(&server, 2_000).await.ends_well(&world, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_upload_whose_server_was_told_to_stop_nothing_is_left_and_the_sender_is_told() {
    let world = embedded();
    let mut server = world.serve().await;
    let sending = half_an_upload(&world, &server).await;
    server.role.signal(Signal::TERM);
    let answer = sending.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    assert!(server.role.ended().await.success(), "{}", server.role.log());
    assert_eq!(spooled(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_on_disk_that_the_ledger_does_not_know_is_found_embedded() {
    let world = embedded();
    let hold = Hold::at(&world, "on-disk");
    let mut first = hold.serve(&world).await;
    let scene = Scene::begin(&first, 2_000).await;
    hold.reached(&mut first.role).await;
    first.role.kill().await;
    let second = world.serve().await;
    scene.ends_well(&world, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_on_disk_that_the_ledger_does_not_know_is_found_on_services() {
    let world = on_services(MySql).await;
    let _worker = world.worker("one", &[]).await;
    let hold = Hold::at(&world, "on-disk");
    let mut first = hold.serve(&world).await;
    let scene = Scene::begin(&first, 2_000).await;
    hold.reached(&mut first.role).await;
    first.role.kill().await;
    let second = world.serve().await;
    scene.ends_well(&world, &second).await;
}
