//! Bad input by every door: what is said, that nothing of it stays, and that the next upload works.

use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::{
    content::{GOOD, Refused, broken, mixed, refused},
    world::{Server, World},
};

/// Names of the files in the spool.
fn spooled(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.path().join("data/spool")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "spool.json");
    names.sort();
    names
}

async fn form(server: &Server, path: &str, field: &'static str, file: &Refused) -> (u16, Value) {
    let form = Form::new().part(field, Part::bytes(file.bytes.clone()).file_name(file.name));
    let answer = server.http.post(format!("{}{path}", server.url)).multipart(form).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/problem+json");
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_user_file_is_refused_by_every_way_in_and_nothing_of_it_stays() {
    let world = World::embedded();
    let server = world.serve().await;
    for file in refused() {
        let (name, original) = (file.name, form(&server, "/upload", "csvdata", &file).await);
        assert_eq!((&original.1["info"], &original.1["message"]), (&"error".into(), &original.1["detail"]));
        let answers =
            [server.try_put(name, &file.bytes, &[]).await, form(&server, "/uploads", "file", &file).await, original];
        for (status, problem) in answers {
            assert_eq!((status, &problem["code"]), (422, &file.code.into()), "{name}: {problem}");
            let (detail, next) = (problem["detail"].as_str().unwrap(), problem["next"].as_str().unwrap());
            assert!(detail.contains(file.says) && next.contains(file.next), "{name}: {detail} / {next}");
        }
    }
    assert!(spooled(&world).is_empty(), "{:?}", spooled(&world));
    let id = server.put("good.csv", GOOD, &[]).await;
    assert_eq!(server.done(&id).await.inserted, 2);
    let listed: Value = server.http.get(format!("{}/uploads", server.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["uploads"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_user_file_is_refused_by_import_and_nothing_of_it_stays() {
    let world = World::embedded();
    for file in refused() {
        world.write(file.name, &file.bytes);
        let ended = world.run(&["import", file.name]).await.expect(1);
        assert_eq!(ended.stdout(), "");
        let text = ended.stderr();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with(&format!("error: {}: ", file.name)) && lines[0].contains(file.says), "{text}");
        assert!(lines[1].starts_with("next: ") && lines[1].contains(file.next), "{text}");
    }
    assert!(spooled(&world).is_empty(), "{:?}", spooled(&world));
    world.write("good.csv", GOOD);
    let ended = world.run(&["import", "good.csv"]).await.expect(0);
    assert_eq!(ended.stdout(), "Finished. 2 new, 0 duplicates, 0 rejected.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_found_broken_later_fails_and_leaves_the_table_as_it_was() {
    let world = World::embedded();
    let server = world.serve().await;
    for file in broken() {
        let id = server.put(file.name, &file.bytes, &[]).await;
        let upload = server.until_state(&id, "failed").await;
        let error = &upload["error"];
        assert_eq!(error["code"], file.code, "{}: {error}", file.name);
        let (message, next) = (error["message"].as_str().unwrap(), error["next"].as_str().unwrap());
        assert!(message.contains(file.says) && next.contains(file.next), "{}: {message} / {next}", file.name);
        assert!(world.table().await.is_empty());
        let ended = world.run(&["status", &id, "--watch"]).await.expect(1);
        assert!(ended.stdout().starts_with("Failed: ") && ended.stdout().contains(file.says), "{}", ended.stdout());
    }
    let id = server.put("good.csv", GOOD, &[]).await;
    assert_eq!(server.done(&id).await.inserted, 2);
    let log = server.role.log();
    assert!(!log.contains("31/02/2020"), "a value of a row is in the log:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_fails_says_it_once_and_leaves_no_run_files() {
    let world = World::embedded();
    for file in broken() {
        world.write(file.name, &file.bytes);
        let ended = world.run(&["import", file.name]).await.expect(1);
        let (out, err) = (ended.stdout(), ended.stderr());
        assert!(out.starts_with("Failed: ") && out.contains(file.says) && out.lines().count() == 1, "{out}");
        assert_eq!(err.matches(file.next).count(), 1, "{err}");
        assert!(err.contains("next: ") && !err.contains("timestamp"), "{err}");
    }
    assert!(world.table().await.is_empty());
    assert_eq!(std::fs::read_dir(world.path().join("data/work")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rows_beside_bad_ones_are_stored_and_each_reason_is_told() {
    for file in mixed() {
        let world = World::embedded();
        let server = world.serve().await;
        let id = server.put(file.name, &file.bytes, &[]).await;
        let counts = server.done(&id).await;
        assert_eq!(counts.inserted, file.good, "{}", file.name);
        let upload = server.upload(&id).await;
        let mut reasons: Vec<_> = upload["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
        reasons.sort_by_key(|code| code.as_str());
        assert_eq!(reasons, file.reasons, "{}", file.name);
        let rejects = server.http.get(format!("{}/uploads/{id}/rejects", server.url)).send().await.unwrap();
        assert_eq!(rejects.status().as_u16(), if file.reasons.is_empty() { 404 } else { 200 }, "{}", file.name);
        let code = i32::from(!file.reasons.is_empty()) * 3;
        world.run(&["status", &id, "--watch"]).await.expect(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_encoding_is_put_right_by_the_remark_s_own_words() {
    let world = World::embedded();
    let server = world.serve().await;
    world.write("latin1.csv", [GOOD, b"3,M\xdcLLER Gro\xdfe Stra\xdfe,2017-03-07\n"].concat());
    let told = world.run(&["import", "latin1.csv"]).await.expect(3).stderr();
    let remark = told.lines().find(|line| line.contains("looks like windows-1252: userdata again")).expect("a remark");
    let (_, command) = remark.split_once("userdata ").unwrap();
    let id = world.run(&command.split(' ').collect::<Vec<_>>()).await.expect(0).stdout().trim().to_owned();
    let counts = server.done(&id).await;
    assert_eq!((counts.inserted, counts.already_present, counts.rejected), (1, 2, 0));
    assert_eq!(world.table().await["3"].0, "müller große straße");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_times_need_a_format_is_put_right_by_the_next_step_s_own_words() {
    let world = World::embedded();
    let server = world.serve().await;
    world.write("export.csv", "id;name;time_of_start\n1;Ada;01.02.2024\n2;Bob;31.12.2024\n");
    let told = world.run(&["import", "export.csv"]).await.expect(1).stderr();
    assert!(told.contains("set formats, such as %d.%m.%Y or %m.%d.%Y"), "{told}");
    let next =
        told.lines().find(|line| line.starts_with("next: 2 times are read only with a format; ")).expect("a step");
    let (_, command) = next.split_once("%d.%m.%Y reads them all: userdata ").expect("one format");
    let (command, _) = command.split_once("; or mend the rejected rows").expect("another way");
    // As a shell does: between quotes is one word.
    let words = command.split('\'').enumerate().flat_map(|(number, piece)| match number % 2 {
        0 => piece.split_whitespace().collect(),
        _ => vec![piece],
    });
    let id = world.run(&words.collect::<Vec<_>>()).await.expect(0).stdout().trim().to_owned();
    assert_eq!(server.done(&id).await.inserted, 2);
    assert_eq!(world.table().await["1"].1, "2024-02-01T00:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_pipes_and_missing_files_given_to_import_are_usage_errors() {
    let world = World::embedded();
    std::fs::create_dir(world.path().join("folder")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(world.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let ended = world.run(&["import", "folder"]).await.expect(2);
    assert_eq!(ended.stderr(), "error: folder is a folder\nnext: name the files in it\n");
    let ended = world.run(&["import", "pipe"]).await.expect(2);
    assert_eq!(ended.stderr(), "error: pipe is not a regular file\nnext: read it as: userdata import - < pipe\n");
    let ended = world.run(&["import", "none.csv"]).await.expect(2);
    assert!(ended.stderr().starts_with("error: reading none.csv: No such file"), "{}", ended.stderr());
    assert!(ended.stderr().contains("\nnext: "), "{}", ended.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_s_clients_are_told_which_field_is_missing() {
    let world = World::embedded();
    let server = world.serve().await;
    let form = Form::new().part("file", Part::bytes(GOOD).file_name("a.csv"));
    let answer = server.http.post(format!("{}/upload", server.url)).multipart(form).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["info"], &problem["code"]), (&"error".into(), &"no_file".into()));
    assert_eq!(problem["message"], "the form has no field \"csvdata\" with a file");
    assert!(problem["next"].as_str().unwrap().contains("in the field \"csvdata\""), "{problem}");
    let answer = server.http.post(format!("{}/upload", server.url)).body(GOOD).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert_eq!(answer.json::<Value>().await.unwrap()["info"], "error");
}
