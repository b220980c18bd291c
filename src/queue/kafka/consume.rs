//! Deliveries from the topic. The offset that is committed never passes a message that is not settled, and what is
//! dropped unsettled is delivered again from memory.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::OwnedMessage,
};
use tokio::sync::Notify;

use super::{Context, MESSAGE_MAX_BYTES, Shared, blocking, dead_letter};
use crate::{
    announcement::{Announcement, Unreadable},
    error::Result,
    queue::Delivery,
};

/// How long an acknowledgement may take before its message counts as unsettled.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);

pub struct Consumer {
    shared: Arc<Shared>,
    stream: Arc<StreamConsumer<Context>>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    partitions: Mutex<HashMap<i32, Offsets>>,
    returned: Mutex<VecDeque<OwnedMessage>>,
    wake: Notify,
}

/// Offsets of one partition: those delivered and not settled, and the one behind the last delivered.
#[derive(Default)]
struct Offsets {
    unsettled: BTreeSet<i64>,
    next: i64,
}

impl Offsets {
    fn delivered(&mut self, offset: i64) {
        self.unsettled.insert(offset);
        self.next = self.next.max(offset + 1);
    }

    /// Settles an offset; gives the one to commit: everything before it is settled.
    fn settled(&mut self, offset: i64) -> i64 {
        self.unsettled.remove(&offset);
        self.unsettled.first().copied().unwrap_or(self.next)
    }
}

impl Consumer {
    /// What it is made with; the user's properties win only where they do not break what this file promises.
    pub fn settings(shared: &Shared) -> ClientConfig {
        let mut client = shared.client();
        let fetch = MESSAGE_MAX_BYTES.to_string();
        let defaults = [
            ("group.id", shared.group.as_str()),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", "4096"),
            ("fetch.message.max.bytes", &fetch),
        ];
        for (name, value) in defaults {
            client.set(name, value);
        }
        // The protocol of Kafka 4 shares partitions out at once; older brokers need `group.protocol = "classic"`.
        if client.get("group.protocol").is_none() {
            client.set("group.protocol", "consumer");
        }
        client
    }

    pub fn join(shared: Arc<Shared>) -> KafkaResult<Self> {
        let stream: StreamConsumer<Context> = Self::settings(&shared).create_with_context(shared.context.clone())?;
        stream.subscribe(&[&shared.topic])?;
        Ok(Self { shared, stream: Arc::new(stream), state: Arc::default() })
    }

    /// Whether only a new consumer can go on.
    pub fn is_broken(&self) -> bool {
        self.stream.client().fatal_error().is_some()
    }

    pub async fn next(&self) -> Result<Box<dyn Delivery>, KafkaError> {
        loop {
            let returned = lock(&self.state.returned).pop_front();
            let message = match returned {
                Some(message) => message,
                None => tokio::select! {
                    () = self.state.wake.notified() => continue,
                    received = self.stream.recv() => match received {
                        Ok(message) => message.detach(),
                        Err(error) => return Err(self.newest(error)),
                    },
                },
            };
            lock(&self.state.partitions).entry(message.partition()).or_default().delivered(message.offset());
            return Ok(Box::new(KafkaDelivery {
                shared: self.shared.clone(),
                stream: self.stream.clone(),
                state: self.state.clone(),
                message: Some(message),
            }));
        }
    }
}

impl Consumer {
    /// An outage leaves an error for each try to connect, and they would be told long after it is over: all that are
    /// there count as one.
    fn newest(&self, mut error: KafkaError) -> KafkaError {
        while let Some(received) = self.stream.recv().now_or_never() {
            match received {
                Err(newer) => error = newer,
                Ok(message) => {
                    lock(&self.state.returned).push_back(message.detach());
                    break;
                }
            }
        }
        error
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct KafkaDelivery {
    shared: Arc<Shared>,
    stream: Arc<StreamConsumer<Context>>,
    state: Arc<State>,
    /// Taken when it is settled.
    message: Option<OwnedMessage>,
}

impl KafkaDelivery {
    fn message(&self) -> &OwnedMessage {
        self.message.as_ref().expect("a delivery holds its message until it is settled")
    }

    async fn commit(&mut self) -> Result<()> {
        let (partition, offset) = (self.message().partition(), self.message().offset());
        let upto = lock(&self.state.partitions).entry(partition).or_default().settled(offset);
        let (stream, topic) = (self.stream.clone(), self.shared.topic.clone());
        let commit = blocking(move || {
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(&topic, partition, Offset::Offset(upto))?;
            stream.commit(&offsets, CommitMode::Sync)
        });
        // Where no broker answers, librdkafka waits for one without an end.
        let timed_out = KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut);
        let committed = tokio::time::timeout(COMMIT_WITHIN, commit).await.unwrap_or(Ok(Err(timed_out)))?;
        match committed {
            Ok(()) => {
                self.message = None;
                Ok(())
            }
            Err(error) => {
                let still_ours = self
                    .stream
                    .assignment()
                    .is_ok_and(|assignment| assignment.find_partition(&self.shared.topic, partition).is_some());
                if !still_ours {
                    // Whoever has the partition now is given the message.
                    self.message = None;
                }
                Err(self.shared.unavailable("acknowledging", &error))
            }
        }
    }
}

#[async_trait]
impl Delivery for KafkaDelivery {
    fn announcement(&self) -> Result<Announcement, Unreadable> {
        Announcement::parse(self.message().payload())
    }

    fn position(&self) -> String {
        let message = self.message();
        format!("{}/{}@{}", message.topic(), message.partition(), message.offset())
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.commit().await
    }

    async fn park(mut self: Box<Self>, reason: &str) -> Result<()> {
        dead_letter::write(&self.shared, self.message(), reason).await?;
        self.commit().await
    }
}

impl Drop for KafkaDelivery {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            lock(&self.state.returned).push_back(message);
            self.state.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_committed_only_behind_what_is_settled() {
        let mut offsets = Offsets::default();
        for offset in 5..8 {
            offsets.delivered(offset);
        }
        assert_eq!(offsets.settled(6), 5, "5 is not settled yet");
        assert_eq!(offsets.settled(5), 7);
        assert_eq!(offsets.settled(7), 8);
    }
}
