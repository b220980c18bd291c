//! kcat, a Kafka client that is not ours: what it reads is what any other program on the topic reads, and what it
//! writes is what a stranger writes.

use std::process::Stdio;

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    process::DEADLINE,
    world::{World, service},
};

/// A message as kcat shows it.
#[derive(Debug, Clone)]
pub struct Message {
    pub key: Option<String>,
    pub value: Option<String>,
    headers: Vec<(String, String)>,
}

impl Message {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("no header {name}: {:?}", self.headers), |(_, value)| value)
    }
}

fn kcat(broker: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(service("USERDATA_TEST_KCAT"));
    command.args(["-q", "-b", broker]).args(arguments).kill_on_drop(true);
    command
}

/// Waits until `count` messages are on a broker's topic, and gives them all.
pub async fn consume(broker: &str, topic: &str, count: usize) -> Vec<Message> {
    let count_text = count.to_string();
    let mut command = kcat(broker, &["-C", "-t", topic, "-o", "beginning", "-c", &count_text, "-J"]);
    command.args(["-X", "fetch.message.max.bytes=4000000"]);
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("there are no {count} messages on {topic}")).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // kcat writes bytes that are no UTF-8 as they are.
    String::from_utf8_lossy(&output.stdout).lines().map(message).collect()
}

/// Waits until a message of each key is on a topic, and gives all that are there by then: an announcement may come twice.
pub async fn consume_keys(broker: &str, topic: &str, keys: &[&str]) -> Vec<Message> {
    let mut count = keys.len();
    loop {
        let messages = consume(broker, topic, count).await;
        if keys.iter().all(|key| messages.iter().any(|message| message.key.as_deref() == Some(key))) {
            return messages;
        }
        count += 1;
    }
}

impl World {
    /// As `consume`, of the broker that all tests share.
    pub async fn consume(&self, topic: &str, count: usize) -> Vec<Message> {
        consume(&service("USERDATA_TEST_KAFKA"), topic, count).await
    }

    /// Sends one message to this world's topic; a value of `None` is a tombstone.
    pub async fn produce(&self, key: &str, value: Option<&[u8]>) {
        let mut command =
            kcat(&service("USERDATA_TEST_KAFKA"), &["-P", "-t", &self.name, "-K", "\u{1}", "-D", "\u{2}"]);
        command.args(["-X", "message.max.bytes=2000000"]);
        if value.is_none() {
            command.arg("-Z");
        }
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let line = [key.as_bytes(), b"\x01", value.unwrap_or_default(), b"\x02"].concat();
        input.write_all(&line).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn message(line: &str) -> Message {
    let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:.200}"));
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let headers: Vec<_> = message["headers"].as_array().into_iter().flatten().filter_map(text).collect();
    let headers = headers.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    Message { key: text(&message["key"]), value: text(&message["payload"]), headers }
}
