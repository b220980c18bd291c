//! What the executable writes by itself: help, example, completions, manual pages.

use std::{io::Read, process::Stdio};

use crate::run::Place;

#[test]
fn the_example_is_a_csv_file_with_the_three_columns() {
    let ran = Place::new().run("example").code(0).err_empty();
    assert!(ran.out().starts_with("Id,name,time_of_start,"), "{ran}");
}

#[test]
fn help_tells_the_exit_codes() {
    Place::new().run("--help").code(0).err_empty().out_has("\n  5  try again later\n");
    Place::new().run("").code(2).out_empty().err_has("Usage: userdata");
}

#[test]
fn completions_are_there_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        Place::new().run(&format!("completions {shell}")).code(0).out_has("userdata");
    }
}

#[test]
fn manual_pages_are_written_one_a_command() {
    let place = Place::new();
    place.run("man pages").code(0).out_empty();
    for page in ["userdata.1", "userdata-import.1", "userdata-topic-create.1"] {
        assert!(place.path().join("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn a_reader_that_has_gone_causes_no_panic() {
    let place = Place::new();
    for line in ["example", "config", "completions bash"] {
        let mut command = place.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{line}");
    }
}

#[test]
fn health_without_a_server_says_how_to_start_one() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ran = Place::new().run_with("health", &[("USERDATA_SERVER__LISTEN", &free)]).code(5).out_empty();
    ran.err_has(&format!("error: no answer from http://{free}/readyz")).err_has("next: start it: userdata serve");
}
