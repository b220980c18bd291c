//! A file that kills whoever cleans it, and a merge that loses rows.

use crate::{
    generator::{Spec, Table, generate},
    hold::Hold,
    process::Role,
    scene::{Scene, on_services},
    world::Database::{MariaDb, MySql},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_kills_every_worker_ends_as_failed_after_three_attempts_while_others_go_on() {
    let world = on_services(MySql).await;
    let server = world.serve().await;
    // Beside it another file is always under way: what kills the one ends the other's attempts as well.
    let hold = Hold::at(&world, "cleaned");
    let fault = format!("{};die-on-row:poison", hold.fault());
    let mut table = Table::new();
    let mut good = Vec::new();
    let mut put_good = async |seed| {
        let file = generate(&Spec { seed, ..Spec::default() });
        good.push((server.put("good.csv", &file.bytes, &[]).await, file.keep(&mut table)));
    };
    put_good(1).await;
    let poison = server.put("poison.csv", b"id,name,time_of_start\npoison,Ada,2020-01-01T00:00:00Z\n", &[]).await;
    let mut deaths = 0;
    loop {
        // As a supervisor does: started again whenever it dies.
        let mut command = world.worker_command("one", &[("worker", "slots = 2")]);
        let mut worker = Role::start("one", command.env("USERDATA_FAULT", &fault));
        tokio::select! {
            _ = server.until_state(&poison, "failed") => break,
            status = worker.ended() => {
                assert!(!status.success());
                deaths += 1;
            }
        }
        if deaths == 2 {
            hold.release();
            put_good(2).await;
        }
    }
    // The first attempt archived it, so it does not count; the good file died beside it as often as it could.
    assert_eq!(deaths, 4);
    let error = &server.upload(&poison).await["error"];
    assert_eq!(error["code"], "attempts_used_up");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("3 attempts in a row") && message.contains("archived"), "{message}");
    let worker = world.worker("two", &[]).await;
    for (id, counts) in good {
        assert_eq!(server.done(&id).await, counts);
    }
    assert!(world.table().await == table);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_drops_a_block_ends_as_failed_with_both_numbers() {
    let world = on_services(MariaDb).await;
    let server = world.serve().await;
    let mut command = world.worker_command("one", &[]);
    let worker = Role::start("one", command.env("USERDATA_FAULT", "drop-block"));
    let scene = Scene::begin(&server, 2_000).await;
    let failed = server.until_state(&scene.id, "failed").await;
    drop(worker);
    let good = scene.counts.read - scene.counts.rejected;
    let stored = world.table().await.len() as u64;
    assert!(stored < scene.counts.inserted);
    let message = failed["error"]["message"].as_str().unwrap();
    let numbers: Vec<u64> =
        message.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] == good && numbers[1] < good && numbers[1] >= stored, "{message}");
    let command = format!("userdata retry {} --restart", scene.id);
    assert!(failed["error"]["next"].as_str().unwrap().contains(&command), "{failed:#}");
    // What it says to do puts it right.
    world.run(&["retry", &scene.id, "--restart"]).await.expect(0);
    let _sound = world.worker("two", &[]).await;
    let counts = server.done(&scene.id).await;
    assert_eq!((counts.inserted, counts.already_present), (scene.counts.inserted - stored, stored));
    assert!(world.table().await == scene.table);
}
