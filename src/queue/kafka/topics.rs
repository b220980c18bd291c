//! Creating the topic and its dead-letter topic, and asking whether they are there.

use std::{sync::Arc, time::Instant};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
    util::Timeout,
};

use super::{ASK_WITHIN, Context, MESSAGE_MAX_BYTES, Shared, blocking};
use crate::{
    error::{Error, Result},
    queue::TopicState,
};

type Admin = Arc<AdminClient<Context>>;

fn admin(shared: &Shared) -> Result<Admin> {
    let made = shared.client().create_with_context(shared.context.clone());
    Ok(Arc::new(made.map_err(|error| shared.unavailable("connecting", &error))?))
}

pub async fn create(shared: &Shared, partitions: i32, replication: i32) -> Result<Vec<TopicState>> {
    let admin = admin(shared)?;
    // One partition keeps what was set aside in order.
    let wanted = [(shared.topic.clone(), partitions), (shared.dead_letter_topic(), 1)];
    let mut states = Vec::new();
    for (topic, partitions) in wanted {
        states.push(create_one(shared, &admin, &topic, partitions, replication).await?);
    }
    Ok(states)
}

async fn create_one(
    shared: &Shared,
    admin: &Admin,
    topic: &str,
    partitions: i32,
    replication: i32,
) -> Result<TopicState> {
    let doing = format!("creating {topic}");
    let max_bytes = MESSAGE_MAX_BYTES.to_string();
    let new =
        NewTopic::new(topic, partitions, TopicReplication::Fixed(replication)).set("max.message.bytes", &max_bytes);
    let options = AdminOptions::new().request_timeout(Some(Timeout::After(ASK_WITHIN)));
    let answers = admin.create_topics([&new], &options).await.map_err(|error| shared.unavailable(&doing, &error))?;
    let created = match answers.into_iter().next() {
        Some(Ok(_)) => true,
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => false,
        Some(Err((_, code))) => return Err(refused(shared, &doing, code)),
        None => {
            return Err(Error::fatal(
                "kafka_answer",
                format!("{doing} on {}: the broker gave no answer", shared.name()),
            ));
        }
    };
    let found = wait_for(shared, admin, topic, created.then_some(partitions)).await?;
    let differs = !created && found != partitions;
    let remark = differs.then(|| format!("has {found} partitions, {partitions} were asked for; it is left as it is"));
    Ok(TopicState { topic: topic.to_owned(), created, partitions: found, remark })
}

fn refused(shared: &Shared, doing: &str, code: RDKafkaErrorCode) -> Error {
    let doing = format!("{doing} on {}", shared.name());
    let error = Error::fatal("topic_refused", doing).because(KafkaError::AdminOp(code));
    match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            error.next("there are fewer brokers than copies: use --replication-factor -1 (the brokers' default) or 1")
        }
        RDKafkaErrorCode::InvalidPartitions => error.next("use --partitions 1 or more"),
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            error.next("let this login create topics, or have somebody create them")
        }
        _ => error,
    }
}

/// Waits until the brokers tell of a topic, with as many partitions as asked for; gives their number.
async fn wait_for(shared: &Shared, admin: &Admin, topic: &str, partitions: Option<i32>) -> Result<i32> {
    let deadline = Instant::now() + 3 * ASK_WITHIN;
    loop {
        let found = partitions_of(shared, admin, topic).await?;
        if found.is_some_and(|found| partitions.is_none_or(|wanted| found == wanted)) || Instant::now() > deadline {
            return Ok(found.unwrap_or(0));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// `None` where there is no such topic yet, or a partition has no leader.
async fn partitions_of(shared: &Shared, admin: &Admin, topic: &str) -> Result<Option<i32>> {
    let (asking, name) = (admin.clone(), topic.to_owned());
    // Asking for all topics, since asking for one by name may make it.
    let metadata = blocking(move || asking.inner().fetch_metadata(None, ASK_WITHIN)).await?;
    let metadata = metadata.map_err(|error| shared.unavailable("asking for topics", &error))?;
    let found = metadata.topics().iter().find(|found| found.name() == name && found.error().is_none());
    Ok(found
        .filter(|found| found.partitions().iter().all(|partition| partition.leader() >= 0))
        .map(|found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)))
}

pub async fn check(shared: &Shared) -> Result<()> {
    let admin = admin(shared)?;
    match partitions_of(shared, &admin, &shared.topic).await? {
        Some(_) => Ok(()),
        None => {
            Err(shared.unavailable("looking", &KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)))
        }
    }
}
