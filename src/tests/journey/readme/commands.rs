//! The README's command lines, run as they stand there: in a shell, in the README's order, beside a server that has
//! uploads; and those that set real services up, on real services.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::process::Command;
use userdata::{cli, example};

use super::{Subcommand, named, parsed};
use crate::{
    process::{DEADLINE, Role},
    world::{Database, Server, World},
};

/// What the example's rows must become, in a table that has no other.
const ROWS: u64 = 21;

/// Where the lines are run.
struct Scene {
    world: World,
    server: Server,
    /// Tokens are made here: they would close the others.
    tokens: World,
    /// Uploads wait here, since nobody works on them.
    idle: (World, Server),
    done: String,
}

impl Scene {
    async fn begin() -> Self {
        let mut world = World::embedded();
        let server = world.serve().await;
        // Commands look for the server where it is.
        world.set("server", &format!("listen = \"{}\"", server.url.trim_start_matches("http://")));
        let mut idle = World::embedded();
        idle.set("queue", "kind = \"kafka\"");
        idle.set("queue.kafka", "brokers = \"127.0.0.1:9\"");
        let waiting = idle.serve().await;
        let done = server.put("users.csv", example::CSV, &[]).await;
        server.until_state(&done, "done").await;
        for world in [&world, &idle] {
            for name in ["users.csv", "f.csv"] {
                world.write(name, example::CSV);
            }
        }
        Self { world, server, tokens: World::embedded(), idle: (idle, waiting), done }
    }

    /// Where a command is run, and the upload that it needs.
    async fn for_command(&self, command: &Subcommand) -> (&World, &Server, String) {
        match command {
            Subcommand::Cancel(_) => {
                let (world, server) = &self.idle;
                let id = server.put("users.csv", example::CSV, &[]).await;
                server.until_state(&id, "received").await;
                (world, server, id)
            }
            Subcommand::Retry(_) => {
                let id = self.server.put("users.csv", example::CSV, &[("max_rejects", "0")]).await;
                self.server.until_state(&id, "failed").await;
                (&self.world, &self.server, id)
            }
            // The newest one: nothing was replaced since.
            Subcommand::Again(_) => {
                let id = self.server.put("users.csv", example::CSV, &[]).await;
                self.server.until_state(&id, "done").await;
                (&self.world, &self.server, id)
            }
            Subcommand::Token(_) => (&self.tokens, &self.server, self.done.clone()),
            _ => (&self.world, &self.server, self.done.clone()),
        }
    }
}

/// Puts what is there into the places of what the README shows; what is left that looks like a placeholder fails.
pub fn filled(text: &str, server: &Server, id: &str) -> String {
    let mut filled = text.to_owned();
    for (shown, real) in [
        ("http://127.0.0.1:9000", &*server.url),
        ("http://…", &*server.url),
        ("01a22a61-99ec", &id[..13]),
        ("UPLOAD", id),
    ] {
        filled = filled.replace(shown, real);
    }
    let words = filled.split(|sign: char| !sign.is_alphanumeric()).map(|word| if word == "ID" { id } else { word });
    let left = words.clone().find(|word| word.len() > 1 && word.chars().all(|sign| sign.is_ascii_uppercase()));
    assert!(left.is_none() && !filled.contains(['…', '{', '<']), "what stands for what in `{text}`? {left:?}");
    filled.split(' ').map(|word| if word == "ID" { id } else { word }).collect::<Vec<_>>().join(" ")
}

/// A shell in a world's folder, which finds the executable and the world's configuration.
fn shell(world: &World, line: &str) -> Command {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_userdata")).parent().unwrap().to_owned();
    let path = std::env::join_paths(
        std::iter::once(folder).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut shell = Command::new("bash");
    shell.args(["-c", line]).current_dir(world.path()).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("USERDATA_")) {
        shell.env_remove(name);
    }
    shell.env("PATH", path.unwrap()).env("USERDATA_CONFIG", world.configuration(&[]));
    shell
}

/// Runs a line to its end; gives what it wrote to standard output. Good ends are "done" and "done with rejects".
async fn run(world: &World, line: &str) -> String {
    let output = tokio::time::timeout(DEADLINE, shell(world, line).output()).await;
    let output = output.unwrap_or_else(|_| panic!("`{line}` does not end")).unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let ended = matches!(output.status.code(), Some(0 | 3));
    assert!(ended, "the README's `{line}` ends with {}\n{out}\n{err}", output.status);
    out.into_owned()
}

async fn newest(server: &Server) -> Value {
    server.list().await["uploads"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_in_the_readme_does_its_work() {
    let scene = Scene::begin().await;
    let mut roles = 0;
    for line in named().commands {
        if line.starts_with("curl ") {
            let line = filled(&line, &scene.server, &scene.done);
            let before = newest(&scene.server).await["id"].clone();
            let answer: Value = serde_json::from_str(&run(&scene.world, &line).await).expect(&line);
            assert!(answer["id"].is_string() && answer["id"] != before, "`{line}`: {answer}");
            accounted(&scene.server.until_state(answer["id"].as_str().unwrap(), "done").await);
            continue;
        }
        let command = parsed(&line);
        match command {
            // On real services, below.
            Subcommand::Topic(_) | Subcommand::Db(_) | Subcommand::Worker => continue,
            Subcommand::Serve(_) => {
                roles += 1;
                let world = World::embedded();
                let mut shell = shell(&world, &line);
                let mut server = Server::of(Role::start("serve", &mut shell)).await;
                let id = server.put("users.csv", example::CSV, &[]).await;
                accounted(&server.until_state(&id, "done").await);
                assert!(server.role.terminate().await.success());
            }
            command => {
                let (world, server, id) = scene.for_command(&command).await;
                let line = filled(&line, server, &id);
                let before = newest(server).await;
                let out = run(world, &line).await;
                came_true(&line, &command, world, server, &id, &out, &before).await;
            }
        }
    }
    assert!(roles > 0, "the README starts no server");
}

fn accounted(upload: &Value) {
    assert_eq!((&upload["read"], &upload["state"]), (&ROWS.into(), &"done".into()), "{upload}");
    let of = |name: &str| upload[name].as_u64().unwrap();
    assert_eq!(of("inserted") + of("replaced") + of("duplicates") + of("rejected"), ROWS, "{upload}");
}

/// What a command was for.
async fn came_true(
    line: &str,
    command: &Subcommand,
    world: &World,
    server: &Server,
    id: &str,
    out: &str,
    before: &Value,
) {
    let written = |name: &Path| std::fs::read_to_string(world.path().join(name)).unwrap();
    match command {
        Subcommand::Import(cli::Import { dry_run: true, .. }) => {
            assert!(out.contains("Nothing was stored"), "`{line}`: {out}");
            assert_eq!(newest(server).await["id"], before["id"], "`{line}` made an upload");
        }
        Subcommand::Import(_) => {
            let upload = newest(server).await;
            assert_ne!(upload["id"], before["id"], "`{line}` made no upload");
            accounted(&upload);
        }
        Subcommand::Status(cli::Status { upload: None, .. }) => assert!(out.contains(&id[..13]), "`{line}`: {out}"),
        Subcommand::Status(_) => assert!(out.contains("rejected"), "`{line}`: {out}"),
        Subcommand::Rejects(cli::Rejects { output, .. }) => {
            let rejects = if output.as_os_str() == "-" { out.to_owned() } else { written(output) };
            assert!(rejects.starts_with("_line,_field,_reason,"), "`{line}`: {rejects}");
        }
        Subcommand::Fetch(cli::Fetch { output, .. }) => {
            assert_eq!(written(output).as_bytes(), example::CSV, "`{line}`")
        }
        Subcommand::Retry(_) => {
            assert!(out.contains("is open again"), "`{line}`: {out}");
            let failed = |upload: &Value| upload["finished_at"].is_string();
            server.until(id, "worked on once more, and failed again", failed).await;
        }
        Subcommand::Again(_) => {
            let upload = server.until_state(out.trim(), "done").await;
            assert_ne!(upload["id"], id, "`{line}`");
            accounted(&upload);
        }
        Subcommand::Cancel(_) => assert_eq!(server.upload(id).await["state"], "cancelled", "`{line}`"),
        Subcommand::Config(_) => assert!(out.contains("[server]") && out.contains("# "), "`{line}`: {out}"),
        Subcommand::Example => {
            let (_, file) = line.split_once("> ").unwrap_or_else(|| panic!("`{line}` writes no file"));
            assert_eq!(written(file.trim().as_ref()).as_bytes(), example::CSV);
        }
        Subcommand::Token(cli::Token::Add(_)) => assert!(out.starts_with("ud_"), "`{line}`: {out}"),
        // A list may be empty, and what is removed was there.
        Subcommand::Token(_) => {}
        // These say it with their exit code.
        Subcommand::Health | Subcommand::Completions { .. } | Subcommand::Man { .. } => {}
        other => panic!("nothing here says what `{line}` must do: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_s_commands_for_real_services_lead_to_a_stored_upload() {
    let mut world = World::on_services(Database::MySql);
    world.share_the_spool();
    let (mut servers, mut workers, mut printed) = (Vec::new(), Vec::new(), 0);
    let lines = named().commands.into_iter().filter(|line| line.starts_with("userdata "));
    for line in lines {
        match parsed(&line.replace("ID", "0")) {
            Subcommand::Topic(_) | Subcommand::Db(_) => {
                assert!(!run(&world, &line).await.is_empty(), "`{line}` says nothing");
                printed += 1;
            }
            Subcommand::Serve(_) if servers.is_empty() => {
                servers.push(Server::of(Role::start("serve", &mut shell(&world, &line))).await);
            }
            Subcommand::Worker => {
                let mut worker = Role::start("worker", &mut shell(&world, &line));
                worker.logged("working").await;
                workers.push(worker);
            }
            _ => {}
        }
    }
    assert!(printed >= 2 && !workers.is_empty(), "the README sets no services up");
    let id = servers[0].put("users.csv", example::CSV, &[]).await;
    accounted(&servers[0].until_state(&id, "done").await);
    assert_eq!(world.table().await.len(), 12);
    for role in workers.iter_mut().chain(servers.iter_mut().map(|server| &mut server.role)) {
        assert!(role.terminate().await.success(), "{}", role.log());
    }
}
