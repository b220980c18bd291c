//! Journeys through crashes: the executable is held at an exact place, killed, stopped or cut off there, and what
//! follows must be as if nothing had happened. Needs a build with the feature `faults` (src/faults.rs) and the
//! services that `compose/services env` names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(dead_code, reason = "the harness serves other suites too")]

#[path = "../journey/generator.rs"]
mod generator;
#[path = "../journey/process.rs"]
mod process;
#[path = "../journey/way.rs"]
mod way;
#[path = "../journey/world.rs"]
mod world;

mod at_random;
mod connections;
mod every;
mod hold;
mod kills;
mod order;
mod poison;
mod private;
mod scene;
mod stops;
mod uploads;
mod versions;
