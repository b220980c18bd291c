//! A load that dies behind its first transaction, behind its second, and so on to its last: each time the successor
//! goes on exactly there.

use futures_util::{StreamExt, stream};

use crate::{
    generator::{Counts, File, Spec, Table, generate},
    hold::Hold,
    world::{
        Database::{MariaDb, MySql},
        World,
    },
};

/// Ten transactions of a hundred rows, about; a worker that is to be held behind a later one is not held at all.
const ROWS: u64 = 1_000;
const LAST: u64 = 14;
/// Loads that die at the same time.
const AT_ONCE: usize = 5;

/// The table has a part of the ids already.
fn files() -> [File; 2] {
    let spec = Spec { rows: ROWS, ..Spec::default() };
    [generate(&Spec { rows: 300, seed: 7, ..spec.clone() }), generate(&Spec { shared: Some((7, 0.2)), ..spec })]
}

/// Whether the load had a `k`-th transaction with another one behind it.
async fn dies_behind_the(k: u64, mut world: World, existing: &'static str) -> bool {
    world.set("queue", "kind = \"kafka\"");
    world.set("queue.kafka", "brokers = \"127.0.0.1:9\"");
    world.set("worker", "lease_s = 5");
    world.share_the_spool();
    world.run(&["db", "init"]).await.expect(0);
    let (mut table, [before, file]) = (Table::new(), files());
    world.write("before.csv", &before.bytes);
    world.run(&["import", "before.csv", "-q"]).await.expect(3);
    before.keep(&mut table);
    let server = world.serve().await;
    let hold = Hold::nth(&world, "loading", k);
    let mut first = hold.worker(&world, "one", &[]);
    let id = server.put("users.csv", &file.bytes, &[("existing", existing)]).await;
    let seen = first.logged_any(&["held at loading", "\"outcome\":\"Done\""]).await;
    first.kill().await;
    let held = seen.contains("held");
    let _second = world.worker("two", &[]).await;
    let expected: Counts = if existing == "keep" { file.keep(&mut table) } else { file.replace(&mut table) };
    assert_eq!(server.done(&id).await, expected, "it died behind transaction {k}");
    assert!(world.table().await == table, "the table is not what the files hold; it died behind transaction {k}");
    held
}

/// Some at once, since they wait for leases most of the time; with more of them a slow machine has no time to greet a
/// new connection before the server closes it.
async fn dies_behind_every_transaction(world: impl Fn() -> World, existing: &'static str) {
    let lives = stream::iter(1..=LAST).map(|k| tokio::spawn(dies_behind_the(k, world(), existing)));
    let held: Vec<bool> = lives.buffered(AT_ONCE).map(Result::unwrap).collect().await;
    let transactions = held.iter().filter(|held| **held).count();
    assert!(held[..transactions].iter().all(|held| *held) && transactions >= 7, "{held:?}");
    assert!(!held[LAST as usize - 1], "there is a transaction behind which nobody died");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_dies_behind_any_transaction_ends_as_if_undisturbed_on_mysql() {
    dies_behind_every_transaction(|| World::on_services(MySql), "keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacing_load_that_dies_behind_any_transaction_ends_as_if_undisturbed_on_mariadb() {
    dies_behind_every_transaction(|| World::on_services(MariaDb), "replace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_dies_behind_any_transaction_ends_as_if_undisturbed_on_sqlite() {
    dies_behind_every_transaction(World::embedded, "keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacing_load_that_dies_behind_any_transaction_ends_as_if_undisturbed_on_sqlite() {
    dies_behind_every_transaction(World::embedded, "replace").await;
}
