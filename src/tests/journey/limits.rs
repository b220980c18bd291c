//! What the machine does not give: room on the disk, a port, a data folder of one's own.

use std::{path::Path, process::Command};

use crate::{content::GOOD, process, world::World};

/// A small disk, gone with this value.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(path: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "userdata-test"]).arg(path).status();
        assert!(mounted.unwrap().success(), "this test needs root: it mounts a small disk");
        Self(path)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazy: the server may still have it open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// A file that is larger than the disk.
fn large() -> Vec<u8> {
    let mut bytes = GOOD.to_vec();
    for number in 10..300_000 {
        bytes.extend_from_slice(format!("{number},name,2017-03-07T00:30:54Z\n").as_bytes());
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_507_and_nothing_half_stored_stays() {
    let mut world = World::embedded();
    let spool = world.path().join("spool");
    let _disk = Disk::mount(&spool, "4m");
    world.set("spool", &format!("path = \"{}\"\nfree_bytes = 0", spool.display()));
    let server = world.serve().await;
    let files = || std::fs::read_dir(&spool).unwrap().count();
    let before = files();
    let bytes = large();
    let known = server.try_put("large.csv", &bytes, &[]).await;
    // Sent in chunks, its size is known to nobody.
    let stream = futures_util::stream::iter(
        bytes.chunks(64 << 10).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let request = server.http.put(format!("{}/uploads/large.csv", server.url)).body(reqwest::Body::wrap_stream(stream));
    let answer = request.send().await.unwrap();
    let unknown = (answer.status().as_u16(), answer.json().await.unwrap());
    for (status, problem) in [known, unknown] {
        assert_eq!((status, &problem["code"]), (507, &"disk_full".into()), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&*spool.to_string_lossy()), "{problem}");
        assert!(!problem["next"].as_str().unwrap().is_empty(), "{problem}");
    }
    assert_eq!(files(), before, "something of it stayed");
    world.write("large.csv", &bytes);
    let ended = world.run(&["import", "large.csv"]).await.expect(5);
    assert!(ended.stderr().contains("error: ") && ended.stderr().contains("\nnext: "), "{}", ended.stderr());
    assert_eq!(files(), before, "something of it stayed");
    let id = server.put("good.csv", GOOD, &[]).await;
    assert_eq!(server.done(&id).await.inserted, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_never_takes_the_space_that_is_kept_free() {
    let mut world = World::embedded();
    let spool = world.path().join("spool");
    let _disk = Disk::mount(&spool, "4m");
    world.set("spool", &format!("path = \"{}\"\nfree_bytes = \"64MiB\"", spool.display()));
    let server = world.serve().await;
    let (status, problem) = server.try_put("good.csv", GOOD, &[]).await;
    assert_eq!((status, &problem["code"]), (507, &"disk_full".into()), "{problem}");
    assert!(problem["next"].as_str().unwrap().contains("spool.free_bytes"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_data_folder_in_use_are_said_in_a_sentence() {
    let world = World::embedded();
    let server = world.serve().await;
    let ended = world.run(&["serve"]).await.expect(1);
    let text = ended.stderr();
    assert!(text.contains("error: another server uses the data folder"), "{text}");
    assert!(text.contains("\nnext: stop it, or give this one a folder of its own"), "{text}");
    let address = server.url.trim_start_matches("http://").to_owned();
    let other = World::embedded();
    let ended = other.run(&["serve", "--listen", &address]).await.expect(1);
    let text = ended.stderr();
    assert!(text.contains(&format!("error: listening on {address}: Address already in use")), "{text}");
    assert!(text.contains("\nnext: another program listens on port"), "{text}");
    let id = server.put("good.csv", GOOD, &[]).await;
    assert_eq!(server.done(&id).await.inserted, 2, "the first goes on");
    let mut command = other.command(&["import", "-", "-q"]);
    command.stdin(std::fs::File::open(world.write("good.csv", GOOD)).unwrap());
    process::run(&mut command).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_waits_for_room_for_its_run_files_and_goes_on_when_there_is_some() {
    let mut world = World::embedded();
    let work = world.path().join("work");
    let _disk = Disk::mount(&work, "4m");
    world.set("worker", &format!("work = \"{}\"", work.display()));
    let server = world.serve().await;
    let id = server.put("large.csv", &large(), &[]).await;
    let waiting = server.until(&id, "waits", |upload| upload["waiting"]["for"] == "disk").await;
    let message = waiting["waiting"]["message"].as_str().unwrap();
    for part in ["waiting for free disk space: cleaning takes about ", &*work.to_string_lossy(), "MiB are free there"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(waiting["attempts"], 0, "a full disk does not count");
    let small = server.put("good.csv", GOOD, &[]).await;
    assert_eq!(server.done(&small).await.inserted, 2, "a small file needs no room");
    let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&work).status();
    assert!(grown.unwrap().success());
    assert_eq!(server.done(&id).await.read, 2 + (300_000 - 10));
}
