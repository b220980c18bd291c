//! Clients that users have, unchanged: tus-js-client, tuspy and curl send a file, are interrupted, and go on.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{
    generator::{Spec, generate},
    process,
    world::{Server, World, service},
};

const JS: &str = include_str!("clients/send.js");
const PYTHON: &str = include_str!("clients/send.py");

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Sending {
    world: World,
    server: Server,
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Sending {
    async fn new() -> Self {
        let world = World::embedded();
        let server = world.serve().await;
        let bytes = generate(&Spec { rows: 30_000, ..Spec::default() }).bytes;
        assert!(bytes.len() > 1_000_000);
        let file = world.write("users.csv", &bytes);
        Self { world, server, file, bytes }
    }

    /// Runs a client that stops in the middle, and again to the end: both use one upload.
    async fn in_two_runs(&self, command: impl Fn(&Path) -> Command, filename: &str) {
        let run = async |more: &[&str]| {
            let mut command = command(self.world.path());
            command.arg(format!("{}/files", self.server.url)).arg(&self.file);
            command.arg(self.world.path().join("store.json")).args(more);
            process::run(&mut command).await.expect(0).stdout().trim().to_owned()
        };
        let first = run(&["600000"]).await;
        let id = first.rsplit('/').next().unwrap();
        let half = self.server.upload(id).await;
        assert_eq!(half["state"], "receiving", "{half}");
        assert!(half["progress"]["done"].as_u64() >= Some(600_000), "{half}");
        assert_eq!(run(&[]).await, first);
        let done = self.server.until_state(id, "done").await;
        assert_eq!((&done["sha256"], &done["filename"]), (&hash(&self.bytes).into(), &filename.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_js_client_sends_is_interrupted_and_goes_on() {
    let sending = Sending::new().await;
    let script = sending.world.write("send.js", JS);
    let modules = Path::new(&service("USERDATA_TEST_TUS_CLIENTS")).join("node_modules");
    let node = |folder: &Path| {
        let mut node = Command::new("node");
        node.arg(&script).env("NODE_PATH", &modules).current_dir(folder);
        node
    };
    sending.in_two_runs(node, "from js.csv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tuspy_sends_with_checksums_is_interrupted_and_goes_on() {
    let sending = Sending::new().await;
    let script = sending.world.write("send.py", PYTHON);
    let modules = Path::new(&service("USERDATA_TEST_TUS_CLIENTS")).join("python");
    let python = |folder: &Path| {
        let mut python = Command::new("/usr/bin/python3");
        python.arg(&script).env("PYTHONPATH", &modules).current_dir(folder);
        python
    };
    sending.in_two_runs(python, "from python.csv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_sends_a_file_whole_by_form_and_in_pieces() {
    let sending = Sending::new().await;
    let (url, file) = (&sending.server.url, sending.file.display().to_string());
    let curl = async |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail"]).args(arguments);
        process::run(&mut curl).await.expect(0).stdout()
    };
    let id =
        |answer: &str| serde_json::from_str::<serde_json::Value>(answer).unwrap()["id"].as_str().unwrap().to_owned();
    let put = id(&curl(&["-T", &file, &format!("{url}/uploads/users.csv")]).await);
    let form = id(&curl(&["-F", &format!("file=@{file}"), &format!("{url}/uploads")]).await);
    let version = ["-H", "Tus-Resumable: 1.0.0"];
    let files = format!("{url}/files");
    let length = format!("Upload-Length: {}", sending.bytes.len());
    let begin = [&version[..], &["-X", "POST", "-D", "-", "-H", &length, &files]].concat();
    let begun = curl(&begin).await.to_lowercase();
    let path = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim().to_owned();
    let target = format!("{url}{path}");
    for (at, piece) in sending.bytes.chunks(700_000).enumerate() {
        let piece = format!("@{}", sending.world.write("piece", piece).display());
        let offset = format!("Upload-Offset: {}", at * 700_000);
        let kind = "Content-Type: application/offset+octet-stream";
        let patch = ["-X", "PATCH", "-H", &offset, "-H", kind, "--data-binary", &piece, &target];
        curl(&[&version[..], &patch].concat()).await;
        let told = curl(&[&version[..], &["--head", &target]].concat()).await.to_lowercase();
        let end = sending.bytes.len().min((at + 1) * 700_000);
        assert!(told.contains(&format!("upload-offset: {end}\r\n")), "{told}");
    }
    let pieces = path.rsplit('/').next().unwrap();
    for id in [&put, &form, pieces] {
        assert_eq!(sending.server.until_state(id, "done").await["sha256"], hash(&sending.bytes));
    }
}
