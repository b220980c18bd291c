//! The built executable as a person or a script sees it: exit codes, both streams, what is written where.

mod configuration;
mod generated;
mod run;
