//! The dead-letter topic: messages that could not be processed, with the reason in headers. The headers are those of
//! Kafka Connect's dead-letter queues, which people and their tools know.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders, OwnedMessage},
};

use super::{ASK_WITHIN, MESSAGE_MAX_BYTES, Shared};
use crate::{error::Result, queue::Parked};

/// Room that a message's key and headers may need beside the value.
const HEADROOM_BYTES: usize = 64 << 10;

const TOPIC: &str = "__connect.errors.topic";
const PARTITION: &str = "__connect.errors.partition";
const OFFSET: &str = "__connect.errors.offset";
const REASON: &str = "__connect.errors.exception.message";
/// The value's size before it was cut.
const SIZE: &str = "userdata.size";

pub async fn write(shared: &Shared, message: &OwnedMessage, reason: &str) -> Result<()> {
    let size = message.payload().map_or(0, <[u8]>::len);
    let fields = [
        (TOPIC, message.topic().to_owned()),
        (PARTITION, message.partition().to_string()),
        (OFFSET, message.offset().to_string()),
        (REASON, reason.to_owned()),
        (SIZE, size.to_string()),
    ];
    let headers = fields
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
    let value = message.payload().map(|value| &value[..size.min(MESSAGE_MAX_BYTES - HEADROOM_BYTES)]);
    let key = message.key().filter(|key| key.len() <= HEADROOM_BYTES / 2);
    shared.send(&shared.dead_letter_topic(), key, value, headers).await
}

/// Reads the topic from its beginning, without a group; blocks.
pub fn read(shared: &Shared, limit: usize) -> Result<Vec<Parked>> {
    let mut client: ClientConfig = shared.client();
    client.set("group.id", format!("{}-reader", shared.group)).set("enable.auto.commit", "false");
    collect(&client, &shared.dead_letter_topic(), limit)
        .map_err(|error| shared.unavailable(&format!("reading {}", shared.dead_letter_topic()), &error))
}

fn collect(client: &ClientConfig, topic: &str, limit: usize) -> Result<Vec<Parked>, KafkaError> {
    let consumer: BaseConsumer = client.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ASK_WITHIN)?;
    let mut assignment = TopicPartitionList::new();
    let mut expected = 0;
    for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ASK_WITHIN)?;
        expected += usize::try_from(high - low).unwrap_or(0);
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut parked = Vec::new();
    while parked.len() < expected.min(limit) {
        match consumer.poll(Duration::from_secs(5)) {
            Some(message) => parked.push(of(&message?)),
            None => break,
        }
    }
    Ok(parked)
}

fn of(message: &BorrowedMessage<'_>) -> Parked {
    let header = |name: &str| {
        let headers = message.headers()?;
        let value = headers.iter().filter(|header| header.key == name).last()?.value?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let text = |name| header(name).unwrap_or_default();
    Parked {
        value: message.payload().map(<[u8]>::to_vec),
        reason: text(REASON),
        position: format!("{}/{}@{}", text(TOPIC), text(PARTITION), text(OFFSET)),
        size: text(SIZE).parse().unwrap_or(0),
    }
}
