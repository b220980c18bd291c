//! Executors that do not do what they say: the job fails, says why, and stores nothing.

use serde_json::Value;

use crate::{
    cluster::{Cluster, on_executors, swept},
    hold::Hold,
    scene::Scene,
    world::World,
};

const ROWS: u64 = 6_000;

/// Gives what the upload says of its failure.
async fn refused(world: &World) -> Value {
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    let scene = Scene::begin(&server, ROWS).await;
    let failed = server.until_state(&scene.id, "failed").await;
    assert!(world.table().await.is_empty(), "something was stored");
    let _sweeper = world.worker("sweeper", &[]).await;
    swept(world).await;
    failed
}

async fn a_lie_is_refused(lines: &str, says: &str) {
    let cluster = Cluster::shared().await;
    let world = cluster.world().await;
    on_executors(&world, &lines.replace("ARCHIVE", &world.archive().display().to_string()));
    let failed = refused(&world).await;
    assert!(failed["error"]["message"].as_str().unwrap().contains(says), "{failed:#}");
}

macro_rules! lies {
    ($($name:ident: $lines:literal => $says:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            a_lie_is_refused($lines, $says).await;
        })*
    };
}

lies! {
    a_cleaning_that_never_began:
        "[[ $1 == spark-clean ]] || exec $userdata \"$@\""
        => "nothing tells what became of chunk 0";
    a_cleaning_that_ends_early:
        "$userdata \"$@\" | if [[ $1 == spark-clean ]]; then head -n 100; else cat; fi; exit 0"
        => "nothing tells what became of chunk";
    parts_that_are_never_made:
        "[[ $1 == spark-part ]] || exec $userdata \"$@\"; exit 0"
        => "nothing tells what became of chunk 0";
    a_part_made_of_the_first_rows_alone:
        "if [[ $1 == spark-part ]]; then { head -n 100; cat >/dev/null; } | $userdata \"$@\"; else exec $userdata \"$@\"; fi"
        => "were sent to Spark";
    an_old_executable:
        "if [[ $1 == spark-clean ]]; then $userdata \"$@\" | sed 's/\"program\":\"[^\"]*\"/\"program\":\"0.0.9\"/'; \
         else exec $userdata \"$@\"; fi"
        => "is userdata 0.0.9";
    an_old_executable_that_makes_parts:
        "if [[ $1 == spark-part ]]; then $userdata \"$@\" | sed 's/\"program\":\"[^\"]*\"/\"program\":\"0.0.9\"/'; \
         else exec $userdata \"$@\"; fi"
        => "is userdata 0.0.9";
    a_part_that_is_cut:
        "$userdata \"$@\"; if [[ $1 == spark-part ]]; then truncate -s -10 ARCHIVE/parts/*.run; fi"
        => "is not the file that was written: it has";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_changed_behind_the_manifest() {
    let cluster = Cluster::shared().await;
    let world = cluster.world().await;
    let server = world.serve().await;
    let hold = Hold::at(&world, "split");
    let mut worker = hold.worker(&world, "one", &[]);
    let scene = Scene::begin(&server, ROWS).await;
    hold.reached(&mut worker).await;
    for (name, mut bytes) in world.archived().into_iter().filter(|(name, _)| name.ends_with(".run")) {
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(world.archive().join(name), bytes).unwrap();
    }
    hold.release();
    let failed = server.until_state(&scene.id, "failed").await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("is not the file that was written: its SHA-256 is"), "{message}");
    assert!(world.table().await.is_empty(), "something was stored");
}
