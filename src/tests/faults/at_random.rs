//! kill -9 of the worker at random moments, 200 times: whatever it was doing, on whatever database, with or without
//! what it had prepared, the file ends as if nothing had happened. Repeat a run's choices with USERDATA_TEST_SEED.

use std::sync::{Arc, Mutex};

use rand::RngExt;
use tokio::task::JoinSet;

use crate::{
    private::Private,
    world::{Database, World},
};

mod lane;
mod tally;

use lane::Lane;
use tally::{Tally, Way};

/// Deployments side by side: each waits for leases most of the time.
const LANES: [(Way, usize); 3] = [(Way::LoadData, 4), (Way::Insert, 4), (Way::Sqlite, 4)];

fn seed() -> u64 {
    std::env::var("USERDATA_TEST_SEED").map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_200_random_moments_leave_no_trace() {
    let (seed, tally) = (seed(), Arc::new(Mutex::new(Tally::default())));
    let without_infile = Private::new(false);
    let insert = without_infile.start().await;
    let mut lanes = JoinSet::new();
    for (way, count) in LANES {
        for number in 0..count {
            let world = match way {
                Way::LoadData => World::on_services(Database::MySql),
                Way::Insert => World::on_services(insert),
                Way::Sqlite => World::embedded(),
            };
            let tally = tally.clone();
            lanes.spawn(async move {
                let seed = seed.wrapping_add(number as u64 * 3 + way as u64);
                Lane::open(world, way, seed, tally).await.run().await;
            });
        }
    }
    while let Some(ended) = lanes.join_next().await {
        if let Err(failed) = ended {
            lanes.abort_all();
            panic!("with USERDATA_TEST_SEED={seed}: {failed}");
        }
    }
    let tally = tally.lock().unwrap();
    tally.print(seed);
    assert!(tally.is_complete());
}
