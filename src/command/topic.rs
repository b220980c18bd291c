//! `topic create`: makes the topic and its dead-letter topic, or says what is there.

use super::{Exit, output};
use crate::{
    config::{Config, QueueKind},
    error::{Error, Result},
    queue::Queue,
};

pub async fn create(config: &Config, queue: &dyn Queue) -> Result<Exit> {
    if config.queue.kind == QueueKind::Local {
        let doing = "creating the topic: queue.kind is \"local\", which has none";
        return Err(Error::fatal("configuration", doing).next("set [queue] kind = \"kafka\"; see: userdata config"));
    }
    let kafka = &config.queue.kafka;
    for state in queue.create(kafka.partitions, kafka.replication).await? {
        let did = if state.created { "created" } else { "is there" };
        let partitions =
            if state.partitions == 1 { "1 partition".into() } else { format!("{} partitions", state.partitions) };
        let remark = state.remark.map(|remark| format!("; {remark}")).unwrap_or_default();
        output::line(format_args!("topic {} {did}, {partitions}{remark}", state.topic))?;
    }
    queue.close().await;
    Ok(Exit::Done)
}
