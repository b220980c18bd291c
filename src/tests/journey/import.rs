//! `import` and what goes with it, as scripts and people at a terminal use them.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::{
    content::GOOD,
    generator::{Spec, Table, generate},
    process::{self, Role},
    world::{Database, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_became_of_the_files() {
    let world = World::embedded();
    world.write("good.csv", GOOD);
    world.write("mixed.csv", [GOOD, b"3,c,soon\n"].concat());
    world.write("none.csv", "id,name,time_of_start\n1,a,soon\n");
    let files = |names: &[&'static str]| [&["import"], names].concat();
    world.run(&files(&["good.csv"])).await.expect(0);
    world.run(&files(&["none.csv"])).await.expect(1);
    world.run(&files(&["missing.csv"])).await.expect(2);
    world.run(&files(&["mixed.csv"])).await.expect(3);
    let ended = world.run(&files(&["good.csv", "mixed.csv"])).await.expect(3);
    assert_eq!(
        ended.stdout(),
        "good.csv: Finished. 0 new, 2 duplicates, 0 rejected.\nmixed.csv: Finished. 0 new, 2 duplicates, 1 rejected.\n"
    );
    let ended = world.run(&files(&["none.csv", "mixed.csv", "good.csv"])).await.expect(1);
    assert_eq!(ended.stdout().lines().count(), 3, "a failed one does not hold up the others: {}", ended.stdout());
    world.run(&files(&["good.csv", "missing.csv", "none.csv"])).await.expect(2);
    world.run(&["import", "good.csv", "mixed.csv", "--name", "x.csv"]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_remark_is_told_once() {
    let world = World::embedded();
    world.write("good.csv", "id,name,time_of_start\n1,a,2017-03-07\n1,b,2017-03-08\n");
    world.run(&["import", "good.csv"]).await.expect(0);
    let text = world.run(&["import", "good.csv"]).await.expect(0).stderr();
    for once in ["in the table already", "more than once with different", "have no offset"] {
        assert_eq!(text.matches(once).count(), 1, "{once:?} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_read_to_its_end_and_named() {
    let world = World::embedded();
    let file = generate(&Spec { rows: 300, ..Spec::default() });
    let mut command = world.command(&["import", "-", "--name", "from a pipe.csv"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for piece in file.bytes.chunks(1000) {
        input.write_all(piece).await.unwrap();
    }
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let mut expected = Table::new();
    let counts = file.keep(&mut expected);
    assert_eq!(output.status.code(), Some(if counts.rejected > 0 { 3 } else { 0 }), "{output:?}");
    assert_eq!(world.table().await, expected);
    let listed = world.run(&["status", "--json"]).await.expect(0).stdout();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["uploads"][0]["filename"], "from a pipe.csv");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_pipe_is_refused_by_its_name() {
    let world = World::embedded();
    let ended = world.run(&["import", "-"]).await.expect(1);
    assert!(ended.stderr().starts_with("error: standard input: the file is empty\nnext: "), "{}", ended.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_files_are_left_to_the_workers_and_waited_for() {
    let mut world = World::on_services(Database::MySql);
    let spool = world.path().join("data/spool");
    world.set("worker", &format!("paths = [\"{}\"]", spool.display()));
    world.run(&["topic", "create"]).await.expect(0);
    world.run(&["db", "init"]).await.expect(0);
    let mut worker = world.worker("one", &[]).await;
    world.write("mixed.csv", [GOOD, b"3,c,soon\n"].concat());
    let ended = world.run(&["import", "--announce", "mixed.csv"]).await.expect(3);
    assert_eq!(ended.stdout(), "Finished. 2 new, 0 duplicates, 1 rejected.\n");
    worker.logged("\"claimed\"").await;
    assert!(worker.terminate().await.success());
    // With nobody there it waits, and an interrupt leaves it to whoever comes.
    world.write("good.csv", GOOD);
    let mut waiting = Role::start("import", &mut world.command(&["import", "--announce", "good.csv"]));
    waiting.logged("waiting for a worker").await;
    waiting.signal(Signal::INT);
    assert_eq!(waiting.ended().await.code(), Some(5), "{}", waiting.log());
    assert!(waiting.log().contains("next: go on watching: userdata status "), "{}", waiting.log());
    let id = id_in(&waiting.log());
    let mut watching = Role::start("status", &mut world.command(&["status", &id, "--watch"]));
    watching.logged("waiting for a worker").await;
    let _worker = world.worker("two", &[]).await;
    assert_eq!(watching.ended().await.code(), Some(0), "{}", watching.log());
}

/// The first upload's id in a text.
fn id_in(text: &str) -> String {
    let mut words = text.split(|sign: char| !sign.is_ascii_hexdigit() && sign != '-');
    words.find(|word| word.parse::<uuid::Uuid>().is_ok()).unwrap_or_else(|| panic!("no id in {text}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_hands_back_and_says_how_to_go_on() {
    let world = World::embedded();
    let file = generate(&Spec { rows: 60_000, bad: 0.0, ..Spec::default() });
    world.write("large.csv", &file.bytes);
    let mut import = Role::start("import", &mut world.command(&["import", "large.csv", "two.csv", "three.csv"]));
    import.logged("large.csv · ").await;
    import.signal(Signal::INT);
    assert_eq!(import.ended().await.code(), Some(5), "{}", import.log());
    let log = import.log();
    assert!(log.contains("was handed back; what was done is kept") && log.contains("`userdata serve`"), "{log}");
    assert!(log.contains("error: stopped; not imported: two.csv, three.csv\nnext: import these again"), "{log}");
    let id = id_in(&log);
    let server = world.serve().await;
    let mut expected = Table::new();
    assert_eq!(server.done(&id).await, file.keep(&mut expected), "whoever comes next finishes it");
    assert_eq!(world.table().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_interrupted_while_it_reads_leaves_nothing() {
    let world = World::embedded();
    let mut command = world.command(&["import", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(GOOD).await.unwrap();
    let spool = world.path().join("data/spool");
    let arriving = || {
        let names = std::fs::read_dir(&spool).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(".part")).count()
    };
    tokio::time::timeout(process::DEADLINE, async {
        while arriving() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it arrives");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let output = tokio::time::timeout(process::DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("error: ") && text.contains("standard input") && text.contains("\nnext: "), "{text}");
    let left: Vec<_> = std::fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["spool.json"], "nothing of it stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_upload_is_cancelled_and_retried_by_its_beginning() {
    let world = World::set_up(Database::MariaDb).await;
    let server = world.serve().await;
    let id = server.put("good.csv", GOOD, &[]).await;
    server.until(&id, "announced", |upload| upload["announced_at"].is_string()).await;
    let start = &id[..18];
    world.run(&["cancel", start]).await.expect(0);
    world.run(&["status", start, "--watch"]).await.expect(1);
    let ended = world.run(&["cancel", start]).await.expect(1);
    assert!(ended.stderr().contains("ended before: it is cancelled"), "{}", ended.stderr());
    world.run(&["retry", start, "--zone", "Europe/Berlin"]).await.expect(0);
    let ended = world.run(&["retry", start]).await.expect(1);
    assert!(ended.stderr().contains("only a failed or cancelled one can be tried again"), "{}", ended.stderr());
    let _worker = world.worker("one", &[]).await;
    let ended = world.run(&["status", start, "--watch", "--json"]).await.expect(0);
    let last = ended.stdout().lines().last().unwrap().to_owned();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["state"], &last["inserted"]), (&"done".into(), &2.into()), "{last}");
    assert_eq!(last["options"]["zone"], "Europe/Berlin");
}
