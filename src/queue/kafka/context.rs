//! What librdkafka says goes to the log as changes: a dead broker alone would fill it with twenty lines a second, from
//! each client of this process and in two ways.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use tracing::{debug, error, info, warn};

const REPEAT_AFTER: Duration = Duration::from_secs(600);

/// Shared by all clients of one configuration.
#[derive(Default, Clone)]
pub struct Context {
    said: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Context {
    fn is_news(&self, code: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(code).is_some_and(|at| at.elapsed() < REPEAT_AFTER) {
            return false;
        }
        said.insert(code.to_owned(), Instant::now());
        true
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        // One that no broker can be reached follows the one that says why.
        let follows = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if !follows && self.is_news(&error.to_string()) {
            warn!(reason, "Kafka: {error}");
        } else {
            debug!(reason, "Kafka: {error}");
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        match level {
            // `error` is told of these too.
            Emerg | Alert | Critical | Error if matches!(facility, "FAIL" | "ERROR") => {
                debug!(target: "librdkafka", facility, "{message}");
            }
            Emerg | Alert | Critical | Error => error!(target: "librdkafka", facility, "{message}"),
            Warning => warn!(target: "librdkafka", facility, "{message}"),
            Notice | Info => info!(target: "librdkafka", facility, "{message}"),
            Debug => debug!(target: "librdkafka", facility, "{message}"),
        }
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_by_one_client_is_no_news_from_another() {
        let one = Context::default();
        let other = one.clone();
        assert!(one.is_news("BrokerTransportFailure"));
        assert!(!other.is_news("BrokerTransportFailure"));
        assert!(other.is_news("Authentication"), "another trouble is");
    }
}
