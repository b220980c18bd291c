//! kill -9 in each state: another process finishes, and nobody can tell.

use crate::{
    hold::Hold,
    scene::{LONG, LONGER, Scene, embedded, on_services},
    world::Database::{self, MariaDb, MySql},
};

const SHORT: u64 = 2_000;

/// Where the ledger has it at each point.
fn state(point: &str) -> &str {
    match point {
        "claimed" => "received",
        "transfer" => "archiving",
        "archived" | "cleaned" => "archived",
        "transaction" | "loading" | "finish" => "loading",
        other => other,
    }
}

async fn a_killed_workers_file_is_finished_by_another(database: Database, point: &'static str) {
    let world = on_services(database).await;
    let server = world.serve().await;
    let hold = Hold::at(&world, point);
    let mut first = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, if point == "transfer" { LONG } else { SHORT }).await;
    hold.reached(&mut first).await;
    server.until_state(&scene.id, state(point)).await;
    first.kill().await;
    let _second = world.worker("two", &[]).await;
    scene.ends_well(&world, &server).await;
    let taken_over = scene.history(&server).await.iter().any(|event| event.contains("stopped answering"));
    assert_eq!(taken_over, point != "done");
}

async fn a_killed_server_goes_on_when_it_is_started_again(point: &'static str) {
    let world = embedded();
    let hold = Hold::at(&world, point);
    let mut first = hold.serve(&world).await;
    let scene = Scene::begin(&first, if point == "transfer" { LONGER } else { SHORT }).await;
    hold.reached(&mut first.role).await;
    first.until_state(&scene.id, state(point)).await;
    first.role.kill().await;
    let second = world.serve().await;
    scene.ends_well(&world, &second).await;
}

macro_rules! killed {
    ($($name:ident: $journey:ident($($argument:expr),*);)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $journey($($argument),*).await;
        })*
    };
}

killed! {
    a_worker_killed_after_its_claim_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "claimed");
    a_worker_killed_in_mid_transfer_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "transfer");
    a_worker_killed_behind_the_archive_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "archived");
    a_worker_killed_behind_cleaning_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "cleaned");
    a_worker_killed_inside_a_transaction_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "transaction");
    a_worker_killed_in_mid_range_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "loading");
    a_worker_killed_before_done_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "finish");
    a_worker_killed_before_the_receipts_copy_on_mysql: a_killed_workers_file_is_finished_by_another(MySql, "done");
    a_worker_killed_in_mid_transfer_on_mariadb: a_killed_workers_file_is_finished_by_another(MariaDb, "transfer");
    a_worker_killed_inside_a_transaction_on_mariadb: a_killed_workers_file_is_finished_by_another(MariaDb, "transaction");
    a_worker_killed_in_mid_range_on_mariadb: a_killed_workers_file_is_finished_by_another(MariaDb, "loading");

    serve_killed_after_its_claim: a_killed_server_goes_on_when_it_is_started_again("claimed");
    serve_killed_in_mid_copy: a_killed_server_goes_on_when_it_is_started_again("transfer");
    serve_killed_behind_the_archive: a_killed_server_goes_on_when_it_is_started_again("archived");
    serve_killed_behind_cleaning: a_killed_server_goes_on_when_it_is_started_again("cleaned");
    serve_killed_inside_a_transaction: a_killed_server_goes_on_when_it_is_started_again("transaction");
    serve_killed_in_mid_range: a_killed_server_goes_on_when_it_is_started_again("loading");
    serve_killed_before_done: a_killed_server_goes_on_when_it_is_started_again("finish");
}
