//! Uploads by a real Apache Spark with two executors, undisturbed, through crashes, and with executors that lie. Needs a
//! build with the features `spark` and `faults`, and the services that `compose/services env` names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(dead_code, reason = "the harness serves other suites too")]

#[path = "../journey/generator.rs"]
mod generator;
#[path = "../faults/hold.rs"]
mod hold;
#[path = "../journey/process.rs"]
mod process;
#[path = "../faults/scene.rs"]
mod scene;
#[path = "../journey/way.rs"]
mod way;
#[path = "../journey/world.rs"]
mod world;

mod cluster;
mod kills;
mod lies;
mod same;
