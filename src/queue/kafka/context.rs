//! What librdkafka says goes to the log as changes: a dead broker alone would fill it with twenty lines a second.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{ClientContext, consumer::ConsumerContext, error::KafkaError};
use tracing::{debug, warn};

const REPEAT_AFTER: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Context {
    said: Mutex<Option<(Instant, String)>>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.to_string();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let repeated = said.as_ref().is_some_and(|(at, what)| *what == code && at.elapsed() < REPEAT_AFTER);
        if repeated {
            debug!(%error, reason, "Kafka");
        } else {
            warn!(%error, reason, "Kafka");
            *said = Some((Instant::now(), code));
        }
    }
}

impl ConsumerContext for Context {}
