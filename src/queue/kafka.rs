//! The queue on Kafka: announcements as the original system wrote them, acknowledged when the ledger knows them, so
//! that a job may run for hours without the consumer group noticing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig,
    consumer::BaseConsumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
    util::Timeout,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    announcement::Announcement,
    config,
    error::{Error, Result, Service},
    queue::{Announced, Delivery, Parked, Queue, TopicState},
};

use self::{consume::Consumer, context::Context};

mod consume;
mod context;
mod dead_letter;
mod topics;

/// How long an announcement may take before the sweep is left with it.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(10);
/// How long questions to the broker may take.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Until the topic was seen for the first time.
const LOOK_FOR_TOPIC_EVERY: Duration = Duration::from_secs(2);
/// How long a process that stops tries to leave the consumer group.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// The largest message that the topics take, bytes: what strangers send must reach the dead-letter topic.
const MESSAGE_MAX_BYTES: usize = 2 << 20;

pub struct Kafka(Arc<Shared>);

struct Shared {
    brokers: String,
    topic: String,
    group: String,
    properties: BTreeMap<String, SecretString>,
    /// Made when something is first sent; anew after a fatal error.
    producer: Mutex<Option<FutureProducer<Context>>>,
    /// Joined when a role first receives; made anew after a fatal error.
    consumer: Mutex<Option<Arc<Consumer>>>,
    context: Context,
    /// Whether the topic was there once.
    topic_seen: AtomicBool,
}

impl Kafka {
    /// Only settings are checked here; no broker needs to be up.
    pub fn new(config: &config::Kafka) -> Result<Self> {
        let shared = Shared {
            brokers: config.brokers.clone(),
            topic: config.topic.clone(),
            group: config.group.clone(),
            properties: config.properties.clone(),
            producer: Mutex::new(None),
            consumer: Mutex::new(None),
            context: Context::default(),
            topic_seen: AtomicBool::new(false),
        };
        // A property that librdkafka does not know, or that contradicts another, shows here, before anything starts.
        let _: BaseConsumer = Consumer::settings(&shared).create().map_err(refused)?;
        Ok(Self(Arc::new(shared)))
    }
}

/// Whatever a property is called, its value may be a secret, under a name that is misspelt: no message shows it.
fn refused(error: KafkaError) -> Error {
    let why = match error {
        KafkaError::ClientConfig(_, why, name, value) => {
            // Where librdkafka tells the value, it is in quotes.
            let why = why.replace(&format!("\"{value}\""), "\"***\"");
            if why.contains(&name) { why } else { format!("{name}: {why}") }
        }
        KafkaError::ClientCreation(why) => why,
        other => other.to_string(),
    };
    Error::fatal("configuration", format!("[queue.kafka.properties] {why}"))
        .next("their names and values: CONFIGURATION.md of librdkafka")
}

impl Shared {
    fn name(&self) -> String {
        format!("Kafka at {}, topic {}", self.brokers, self.topic)
    }

    fn dead_letter_topic(&self) -> String {
        format!("{}.dlq", self.topic)
    }

    /// What all clients have in common; the user's properties win.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", concat!("userdata-", env!("CARGO_PKG_VERSION")))
            .set("socket.timeout.ms", "10000")
            .set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &self.properties {
            client.set(name, value.expose_secret());
        }
        client
    }

    fn unavailable(&self, doing: &str, why: &KafkaError) -> Error {
        let error = Error::unavailable(Service::Queue, format!("{doing} on {}", self.name())).because(why.clone());
        match why.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition,
            ) => error.next("create the topic: userdata topic create"),
            _ => error,
        }
    }

    async fn producer(&self) -> Result<FutureProducer<Context>> {
        let mut slot = self.producer.lock().await;
        // An idempotent producer sends nothing more after a fatal error.
        if let Some(producer) = slot.as_ref().filter(|producer| producer.client().fatal_error().is_none()) {
            return Ok(producer.clone());
        }
        let mut client = self.client();
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("message.max.bytes", (MESSAGE_MAX_BYTES + (64 << 10)).to_string())
            .set("message.timeout.ms", ANNOUNCE_WITHIN.as_millis().to_string());
        let made = client.create_with_context(self.context.clone());
        let made: FutureProducer<_> = made.map_err(|error| self.unavailable("preparing to announce", &error))?;
        Ok(slot.insert(made).clone())
    }

    /// Sends and waits for the broker's acknowledgement.
    async fn send(&self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, headers: OwnedHeaders) -> Result<()> {
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
        record.key = key;
        record.payload = value;
        let sent = self.producer().await?.send(record, Timeout::After(Duration::from_secs(1))).await;
        sent.map(|_| ()).map_err(|(error, _)| self.unavailable(&format!("sending to {topic}"), &error))
    }

    /// Ends when the broker says that there is no such topic, else never: a consumer of Kafka's newer group protocol
    /// waits for one without a word.
    async fn topic_is_missing(&self) -> Error {
        while !self.topic_seen.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK_FOR_TOPIC_EVERY).await;
            match topics::check(self).await {
                Ok(()) => self.topic_seen.store(true, Ordering::Relaxed),
                Err(error) if error.next.is_some() => return error,
                // The consumer says itself that it reaches no broker.
                Err(_) => {}
            }
        }
        std::future::pending().await
    }

    async fn consumer(self: &Arc<Self>) -> Result<Arc<Consumer>> {
        let mut slot = self.consumer.lock().await;
        if let Some(consumer) = slot.as_ref() {
            return Ok(consumer.clone());
        }
        let joined = Consumer::join(self.clone()).map_err(|error| self.unavailable("joining the group", &error))?;
        Ok(slot.insert(Arc::new(joined)).clone())
    }
}

/// Runs a call of librdkafka that blocks.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let ended = crate::blocking::run(call).await;
    ended.map_err(|panic| Error::fatal("task_failed", "a call to Kafka ended unexpectedly").because(panic))
}

/// CloudEvents 1.0, binary content mode of the Kafka protocol binding: the value stays the original's.
fn cloud_event(announcement: &Announcement) -> OwnedHeaders {
    let id = Uuid::now_v7().to_string();
    let attributes = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_source", "userdata"),
        ("ce_type", "userdata.upload.stored.v1"),
        ("ce_subject", &announcement.uuid.to_string()),
    ];
    attributes
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }))
}

#[async_trait]
impl Queue for Kafka {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn announce(&self, announcement: &Announcement) -> Result<Announced> {
        let (key, value) = (announcement.uuid.to_string(), announcement.value());
        self.0.send(&self.0.topic, Some(key.as_bytes()), Some(&value), cloud_event(announcement)).await?;
        Ok(Announced::ByTheBroker)
    }

    async fn receive(&self) -> Result<Box<dyn Delivery>> {
        let consumer = self.0.consumer().await?;
        let received = tokio::select! {
            received = consumer.next() => received,
            missing = self.0.topic_is_missing() => return Err(missing),
        };
        match received {
            Ok(delivery) => Ok(delivery),
            Err(error) => {
                if consumer.is_broken() {
                    *self.0.consumer.lock().await = None;
                    blocking(move || drop(consumer)).await?;
                }
                Err(self.0.unavailable("receiving", &error))
            }
        }
    }

    async fn create(&self, partitions: i32, replication: i32) -> Result<Vec<TopicState>> {
        topics::create(&self.0, partitions, replication).await
    }

    async fn check(&self) -> Result<()> {
        topics::check(&self.0).await
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>> {
        let shared = self.0.clone();
        blocking(move || dead_letter::read(&shared, limit)).await?
    }

    async fn close(&self) {
        let consumer = self.0.consumer.lock().await.take();
        // Leaving the group blocks for a moment, and for minutes where no broker answers: then the group will notice by
        // itself. An error here changes nothing for anybody.
        let _ = tokio::time::timeout(LEAVE_WITHIN, blocking(move || drop(consumer))).await;
        if let Some(producer) = self.0.producer.lock().await.take() {
            let _ = blocking(move || producer.flush(Timeout::After(Duration::from_secs(2)))).await;
        }
    }
}
