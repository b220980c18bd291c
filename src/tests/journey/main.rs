//! Whole journeys of a file with the built executable, on embedded services and on the real ones. Addresses of services
//! come from the environment (`compose/services env`); without them the tests that need one fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(dead_code, reason = "the harness serves the fault tests too")]

mod again;
mod bad_input;
mod broker;
mod browser;
mod chromium;
mod clients;
mod content;
mod crowd;
mod embedded;
mod exposed;
mod fetch;
mod follow;
mod generator;
mod import;
mod kcat;
mod limits;
mod messages;
mod names;
mod original;
mod outages;
mod process;
mod readme;
mod resumed;
mod services;
mod way;
mod world;
