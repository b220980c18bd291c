//! What is done with uploads from the command line, on the embedded backends.

use std::{io::Write, process::Stdio};

use crate::run::Place;

/// Imports the example in a new place; gives the place and the upload's id.
fn with_example() -> (Place, String) {
    let place = Place::new();
    let example = place.run("example").code(0).out();
    place.file("example.csv", &example).run("import example.csv -q").code(3);
    let id = newest(&place);
    (place, id)
}

fn newest(place: &Place) -> String {
    let listed: serde_json::Value = serde_json::from_str(&place.run("status --json").code(0).out()).unwrap();
    listed["uploads"][0]["id"].as_str().unwrap().to_string()
}

#[test]
fn import_tells_the_result_on_standard_output_and_reasons_beside_it() {
    let place = Place::new();
    let example = place.run("example").code(0).out();
    place.file("example.csv", &example);
    let ran = place.run("import example.csv").code(3).err_has("e.g. line 17: \"03/04/2017\"");
    assert_eq!(ran.out(), "Finished. 12 new, 1 duplicate, 8 rejected.\n", "{ran}");
    let ran = place.run("import example.csv -q").code(3);
    assert_eq!(ran.out(), "Finished. 0 new, 13 duplicates, 8 rejected.\n", "{ran}");
    ran.err_has("stay as they were; to have this file's instead: userdata again");
}

#[test]
fn status_shows_all_uploads_one_by_its_beginning_and_its_outcome() {
    let (place, id) = with_example();
    place.run("status").code(0).err_empty().out_has(&id[..13]).out_has("example.csv");
    let one = place.run(&format!("status {}", &id[..13])).code(0).err_empty();
    one.out_has("21 read, 12 new, 0 replaced, 1 duplicate (1 in the file, 0 in the table), 8 rejected")
        .out_has("Z  done");
    place.run(&format!("status {id} --watch")).code(3).out_has("Finished. 12 new");
    let ran = place.run(&format!("status {id} --json")).code(0);
    let shown: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
    let counts = ["read", "inserted", "replaced", "duplicates", "rejected"].map(|name| shown[name].as_u64());
    assert_eq!(counts, [21, 12, 0, 1, 8].map(Some), "{ran}");
    let ran = place.run(&format!("status {id} --watch --json")).code(3);
    assert_eq!(ran.out().lines().count(), 1, "{ran}");
}

#[test]
fn an_upload_that_is_not_there_is_exit_code_4() {
    let (place, _) = with_example();
    for line in ["status", "retry", "again", "cancel", "rejects", "fetch -o x"] {
        for id in ["ffffffff", "no-hex"] {
            let ran = place.run(&format!("{line} {id}")).code(4).out_empty();
            ran.err_has(&format!("error: there is no upload {id} (SQLite in ")).err_has("\nnext: see: userdata status");
        }
    }
}

#[test]
fn an_ambiguous_beginning_is_refused_with_those_it_could_be() {
    let (place, first) = with_example();
    place.run("import example.csv -q").code(3);
    let second = newest(&place);
    place.run(&format!("cancel {}", &first[..1])).code(2).err_has(&first).err_has(&second);
}

#[test]
fn rejects_go_to_standard_output_or_whole_into_a_file() {
    let (place, id) = with_example();
    let shown = place.run(&format!("rejects {id}")).code(0).err_empty().out();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!((lines[0], lines.len()), ("_line,_field,_reason,Id,name,time_of_start,note", 9), "{shown}");
    place.run(&format!("rejects {id} -o bad.csv")).code(0).out_empty();
    assert_eq!(std::fs::read_to_string(place.path().join("bad.csv")).unwrap(), shown);
    assert_eq!(place.run(&format!("rejects {id} -o -")).code(0).out(), shown);
    place.run(&format!("rejects {id} -o none/bad.csv")).code(1).err_has("error: writing none/bad.csv: No such file");
}

#[test]
fn what_is_written_replaces_files_alone_and_leaves_nothing_behind() {
    let (place, id) = with_example();
    let example = place.run("example").code(0).out();
    assert_eq!(place.run(&format!("fetch {id} -o -")).code(0).err_has("as received").out(), example);
    let link = place.path().join("link.csv");
    std::os::unix::fs::symlink(place.file("back.csv", "before").path().join("back.csv"), &link).unwrap();
    place.run(&format!("fetch {id} -o link.csv")).code(0).out_empty();
    assert!(link.is_symlink() && std::fs::read_to_string(place.path().join("back.csv")).unwrap() == example);
    std::fs::create_dir(place.path().join("folder")).unwrap();
    place.run(&format!("fetch {id} -o folder")).code(2).err_has("error: folder is a folder\nnext: name a file in it");
    let pipe = place.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::process::Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
    place.run(&format!("fetch {id} -o pipe")).code(0);
    assert_eq!(reader.wait_with_output().unwrap().stdout, example.as_bytes());
    assert!(!pipe.is_file());
    let names = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| name.to_string_lossy().ends_with(".part")).count();
    assert_eq!(left, 0);
}

#[test]
fn of_many_uploads_the_newest_are_listed_and_it_is_said_that_there_are_more() {
    let (place, _) = with_example();
    place.file("bad.csv", "id,name,time_of_start\n1,\"a,2017-03-07\n").run("import bad.csv -q").code(1);
    place.run("status --limit 1").code(0).out_has("bad.csv").err_has("the newest 1; more: --limit 10");
    place.run("status --limit 2").code(0).out_has("example.csv").err_empty();
    place.run("status --state done").code(0).out_has("example.csv").err_empty();
    place.run("status --state open").code(0).out_empty().err_has("no uploads in that state (SQLite in ");
    place.run("status --state odd").code(2).err_has("odd");
    let listed: serde_json::Value = serde_json::from_str(&place.run("status --limit 1 --json").out()).unwrap();
    assert_eq!((listed["uploads"].as_array().unwrap().len(), &listed["more"]), (1, &true.into()));
}

#[test]
fn an_original_comes_back_as_it_was_or_not_at_all() {
    let (place, id) = with_example();
    place.run(&format!("fetch {id} -o back.csv")).code(0).out_empty().err_has("as received (SHA-256 ");
    let example = place.run("example").code(0).out();
    assert_eq!(std::fs::read_to_string(place.path().join("back.csv")).unwrap(), example);
    place.run(&format!("fetch {id} -o none/back.csv")).code(1).err_has("error: writing none/back.csv: No such file");
    place.run(&format!("fetch {id}")).code(2).err_has("--output <FILE>");

    let archived = archived(&place);
    for (changed, why) in [
        (example.replacen("Id,", "id,", 1), "its SHA-256 is "),
        (example[..example.len() - 1].into(), &*format!("it has {} bytes, {} were", example.len() - 1, example.len())),
    ] {
        std::fs::write(&archived, changed).unwrap();
        place.run(&format!("fetch {id} -o changed.csv")).code(1).err_has("is not what was received").err_has(why);
        assert!(!place.path().join("changed.csv").exists() && !place.path().join("changed.csv.part").exists());
    }
    std::fs::remove_file(archived).unwrap();
    place.run(&format!("fetch {id} -o back.csv")).code(5).err_has("No such file");
    assert_eq!(std::fs::read_to_string(place.path().join("back.csv")).unwrap(), example, "the file from before");
}

/// The one original in the embedded archive.
fn archived(place: &Place) -> std::path::PathBuf {
    let mut folders = vec![place.path().join("data/archive")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str().unwrap() {
                "example.csv" => return path,
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    panic!("nothing is archived");
}

#[test]
fn the_original_of_an_upload_loaded_again_is_the_first_one_s() {
    let (place, id) = with_example();
    let again = place.run(&format!("again {id}")).code(0).out().trim().to_string();
    place.run(&format!("fetch {again} -o back.csv")).code(0);
    let example = place.run("example").code(0).out();
    assert_eq!(std::fs::read_to_string(place.path().join("back.csv")).unwrap(), example);
}

#[test]
fn what_is_done_can_neither_be_cancelled_nor_retried_but_loaded_again() {
    let (place, id) = with_example();
    place.run(&format!("cancel {id}")).code(1).err_has("ended before: it is done");
    place
        .run(&format!("retry {id}"))
        .code(1)
        .err_has(&format!("next: to load its bytes once more: userdata again {id}"));
    let again = place.run(&format!("again {id} --existing replace --zone Europe/Berlin")).code(0).out();
    place.run(&format!("status {again}")).code(0).out_has("existing = \"replace\", zone = \"Europe/Berlin\"");
    place.run(&format!("again {id} --zone Mars")).code(2).err_has("error: --zone: zone \"Mars\" is unknown");
}

#[test]
fn a_waiting_upload_is_cancelled_and_opened_again() {
    let (place, id) = with_example();
    let waiting = place.run(&format!("again {id}")).code(0).out().trim().to_string();
    place.run(&format!("cancel {waiting}")).code(0).out_has("is cancelled");
    place.run(&format!("status {waiting} --watch")).code(1).out_has("Cancelled.");
    place.run(&format!("retry {waiting} --trim --header true")).code(0).out_has("is open again");
    place.run(&format!("status {waiting}")).code(0).out_has("trim = true");
}

#[test]
fn of_several_files_each_is_told_and_the_worst_gives_the_exit_code() {
    let place = Place::new();
    place.file("good.csv", "id,name,time_of_start\n1,a,2017-03-07\n").file("empty.csv", "");
    let ran = place.run("import empty.csv good.csv").code(1).err_has("error: empty.csv: the file is empty");
    ran.out_has("good.csv: Finished. 1 new, 0 duplicates, 0 rejected.\n");
    place.run("import good.csv none.csv").code(2).err_has("error: reading none.csv: No such file");
    place.run("import .").code(2).err_has("error: . is a folder\nnext: name the files in it");
}

#[test]
fn what_was_kept_long_enough_goes_from_the_spool_also_where_no_server_runs() {
    let place = Place::new();
    place.file("users.csv", "id,name,time_of_start\n1,a,2017-03-07\n");
    let kept = || std::fs::read_dir(place.path().join("data/spool")).unwrap().count();
    place.run("import users.csv -q").code(0);
    let with_one = kept();
    place.run("import users.csv -q").code(0);
    assert_eq!(kept(), with_one + 2, "bytes and info of each are kept for a day");
    place.run_with("import users.csv -q", &[("USERDATA_SPOOL__KEEP", "0s")]).code(0).err_has("stays as it was");
    assert_eq!(kept(), with_one - 2);
}

#[test]
fn a_dry_run_says_what_would_become_of_the_rows_and_changes_nothing() {
    let place = Place::new();
    let example = place.run("example").code(0).out();
    place.file("example.csv", &example).file("german.csv", "id;name;time_of_start\n1;a;01.02.2024\n2;b;31.01.2024\n");
    // No service is asked: none of these runs.
    place
        .file("Config.toml", "[queue]\nkind = \"kafka\"\nkafka.brokers = \"127.0.0.1:1\"\n[store]\nkind = \"mysql\"\nmysql.host = \"127.0.0.1\"\nmysql.port = 1\nmysql.user = \"nobody\"\n");
    let ran = place.run("import --dry-run example.csv").code(3).err_has("e.g. line 17: \"03/04/2017\"");
    ran.out_has("example.csv: 21 rows read, 12 users would be stored unless the table has them, 1 row repeats an id")
        .out_has("8 rejected. Nothing was stored.\n");
    place
        .run("import --dry-run german.csv")
        .code(1)
        .err_has("userdata import german.csv --formats '%d-%m-%y %H:%M:%S' --formats '%d.%m.%Y'")
        .err_has("error: german.csv: all its 2 rows are rejects");
    place.run("import --dry-run german.csv --formats %d.%m.%Y").code(0).out_has("2 users would be stored");
    place.run("import --dry-run example.csv --max-rejects 7").code(1).err_has("8 of 21 rows are rejects");
    place.run("import --dry-run - none.csv").code(2).err_has("standard input is read once").err_has("reading none.csv");
    let left: Vec<_> = std::fs::read_dir(place.path().join("data/work")).unwrap().collect();
    assert!(left.is_empty() && !place.path().join("data/spool").exists(), "{left:?}");
}

#[test]
fn standard_input_is_imported_under_the_name_given() {
    let place = Place::new();
    let mut command = place.command("import - --name piped.csv -q");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"id,name,time_of_start\n1,a,2017-03-07\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    place.run("status").code(0).out_has("piped.csv");
}

#[test]
fn db_init_and_topic_create_say_what_they_found() {
    let place = Place::new();
    place.run("db init").code(0).out_has("the user table and the ledger");
    place.run("db init --print").code(0).out_has("create table");
    place.run("topic create").code(2).err_has("queue.kind is \"local\", which has none");
    place.run("topic create --replication-factor 0").code(2).err_has("flag --replication-factor: it must be -1");
}

#[test]
fn status_of_nothing_says_how_to_begin() {
    Place::new().run("status").code(0).out_empty().err_has("userdata.db); load a file with: userdata import FILE");
}
