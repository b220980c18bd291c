//! The queue wakes workers: it carries announcements, and nothing that is not also in the spool or the ledger.
//! This file is the contract; every backend keeps all of it, and one suite says so.

use async_trait::async_trait;

use crate::{
    announcement::{Announcement, Unreadable},
    error::Result,
};

pub mod kafka;
pub mod local;

/// Announces uploads and delivers announcements.
#[async_trait]
pub trait Queue: Send + Sync {
    /// For messages: "Kafka at 10.0.0.5:9092, topic uploadmessage".
    fn name(&self) -> String;

    /// Announces an upload that the ledger holds. When this returns, the announcement survives the death of this
    /// process and will be delivered at least once. Repeating it delivers again, which is harmless. The answer says
    /// whether the caller is to note `announced_at` now.
    /// `Transient` (service `Queue`) when the broker does not acknowledge within the deadline.
    async fn announce(&self, announcement: &Announcement) -> Result<Announced>;

    /// Waits for the next delivery, for ever if need be. Dropping the future loses nothing. `Transient` when the
    /// queue cannot be reached: call again, calls pace themselves.
    async fn receive(&self) -> Result<Box<dyn Delivery>>;

    /// Creates the topic and its dead-letter topic, or says what it found. May be repeated.
    async fn create(&self, partitions: i32, replication: i32) -> Result<Vec<TopicState>>;

    /// Whether the queue answers, and knows the topic.
    async fn check(&self) -> Result<()>;

    /// What was parked, oldest first, at most `limit`.
    async fn parked(&self, limit: usize) -> Result<Vec<Parked>>;

    /// Leaves the consumer group and flushes what was sent; bounded in time.
    async fn close(&self);
}

/// One message taken from the queue. Dropped without `acknowledge` or `park` it is delivered again, to this process
/// or another.
#[async_trait]
pub trait Delivery: Send {
    /// The announcement, or why the message is none.
    fn announcement(&self) -> Result<Announcement, Unreadable>;

    /// For messages: "uploadmessage/0@42".
    fn position(&self) -> String;

    /// The message will not be delivered again. Durable when it returns.
    async fn acknowledge(self: Box<Self>) -> Result<()>;

    /// Copies the message to the dead-letter topic with `reason` in a header and acknowledges it after the broker
    /// took the copy. A value over the topic's limit is cut, with its size in a header.
    async fn park(self: Box<Self>, reason: &str) -> Result<()>;
}

/// Who keeps an announcement until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// The broker: the ledger's row may be marked as announced.
    ByTheBroker,
    /// The ledger's row itself, which stays unmarked until the delivery is acknowledged.
    ByTheLedger,
}

/// What `create` did or found, for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    pub topic: String,
    pub created: bool,
    pub partitions: i32,
    /// What differs from what was asked for.
    pub remark: Option<String>,
}

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub value: Option<Vec<u8>>,
    pub reason: String,
    pub position: String,
    /// The value's size before it was cut.
    pub size: usize,
}
