//! What went wrong in a task, for the worker: a line on standard error, which Spark passes on inside of its own words.
//! So an archive that an executor cannot reach is waited for, and a mistake is told as the executor told it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Service};

const MARK: &str = "userdata-spark:";

#[derive(Debug, Serialize, Deserialize)]
struct Complaint {
    service: Option<Service>,
    text: String,
    next: Option<String>,
}

/// The line that tells an error.
pub fn written(error: &Error) -> String {
    let service = error.service.filter(|_| error.kind == Kind::Transient);
    let complaint = Complaint { service, text: error.to_string(), next: error.next.clone() };
    format!("{MARK}{}", serde_json::to_string(&complaint).unwrap_or_default())
}

/// The error that was told somewhere in `words`.
pub fn found(words: &str) -> Option<Error> {
    let (_, json) = words.split_once(MARK)?;
    let Complaint { service, text, next } =
        serde_json::Deserializer::from_str(json).into_iter::<Complaint>().next()?.ok()?;
    let doing = format!("on an executor of Spark: {text}");
    let error = match service {
        Some(service) => Error::unavailable(service, doing),
        None => Error::fatal("spark_task", doing),
    };
    Some(match next {
        Some(next) => error.next(next),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_executor_says_is_found_in_the_words_of_spark() {
        let error = Error::unavailable(Service::Archive, "storing parts/x").because("530 \"no\"").next("mend it");
        let words = format!("Job aborted: Subprocess exited with status 5. Error: {}\nerror: more", written(&error));
        let found = found(&words).unwrap();
        assert_eq!((found.kind, found.service), (Kind::Transient, Some(Service::Archive)));
        assert_eq!(found.with_next(), "on an executor of Spark: storing parts/x: 530 \"no\"; next: mend it");
        let found = super::found(&written(&Error::fatal("spark_order", "x"))).unwrap();
        assert_eq!((found.kind, found.next), (Kind::Fatal, None));
        assert!(super::found("Job aborted").is_none());
    }
}
