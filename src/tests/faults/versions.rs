//! Programs and ledgers of different versions meet.

use mysql_async::prelude::Queryable;

use crate::{
    hold::Hold,
    process,
    scene::{Scene, on_services},
    world::{
        Database::{MariaDb, MySql},
        World,
    },
};

async fn sql(world: &World, statement: &str) {
    let mut connection = world.connect().await;
    connection.query_drop(statement).await.unwrap();
    connection.disconnect().await.unwrap();
}

/// As if so much more time had passed since anybody had an upload.
async fn leave_alone(world: &World, ms: u32) {
    sql(world, &format!("update userdata_upload_event set at_ms = at_ms - {ms}")).await;
    sql(world, &format!("update userdata_upload set lease_until_ms = lease_until_ms - {ms}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_begun_under_other_rules_is_left_alone_and_says_so_until_it_is_started_over() {
    let world = on_services(MariaDb).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "loading");
    let mut first = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, 2_000).await;
    hold.reached(&mut first).await;
    first.kill().await;
    let before = world.table().await.len() as u64;
    assert!(before > 0 && before < scene.counts.inserted);
    sql(&world, "update userdata_upload set rules = 4711").await;
    let second = world.worker("two", &[]).await;
    leave_alone(&world, 20_000).await;
    let says =
        |upload: &serde_json::Value| upload["waiting"]["message"].as_str().is_some_and(|text| text.contains("4711"));
    let waiting = server.until(&scene.id, "waiting for a worker of its rules", says).await;
    assert_eq!(waiting["state"], "loading");
    leave_alone(&world, 3_600_000).await;
    let failed = server.until_state(&scene.id, "failed").await;
    assert_eq!(failed["error"]["code"], "rules_version");
    assert!(failed["error"]["message"].as_str().unwrap().contains("4711"), "{failed:#}");
    assert!(failed["error"]["next"].as_str().unwrap().contains("--restart"), "{failed:#}");
    assert_eq!(world.table().await.len() as u64, before, "nobody has continued it");
    world.run(&["retry", &scene.id, "--restart"]).await.expect(0);
    let counts = server.done(&scene.id).await;
    let mut expected = scene.counts;
    expected.inserted -= before;
    expected.already_present += before;
    expected.duplicates += before;
    assert_eq!(counts, expected);
    assert!(world.table().await == scene.table);
    let done = server.upload(&scene.id).await;
    let remark = format!(
        "it was loaded again from the start; the {before} rows that were stored before count as already in the table"
    );
    assert!(before < 1_000, "no separator in the number");
    assert!(done["remarks"].as_array().unwrap().contains(&remark.into()), "{done:#}");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_one_version_newer_is_worked_with_an_older_one_or_two_newer_refused() {
    let world = on_services(MySql).await;
    sql(&world, "insert into userdata_schema select max(version) + 1, 0 from userdata_schema").await;
    let server = world.serve().await;
    let mut worker = world.worker("one", &[]).await;
    let scene = Scene::begin(&server, 2_000).await;
    scene.ends_well(&world, &server).await;
    worker.logged("one version newer").await;
    assert!(worker.terminate().await.success());
    for (statement, says) in [
        ("insert into userdata_schema select max(version) + 1, 0 from userdata_schema", "install the userdata"),
        ("update userdata_schema set version = 0 - version", "userdata db init"),
    ] {
        sql(&world, statement).await;
        for mut command in [
            world.worker_command("one", &[]),
            world.command(&["serve"]),
            world.command(&["status"]),
            world.command(&["retry", &scene.id]),
        ] {
            let refused = process::run(&mut command).await.expect(1);
            let text = refused.stderr();
            assert!(text.contains("has version") && text.contains(says), "{command:?}: {text}");
        }
    }
}
