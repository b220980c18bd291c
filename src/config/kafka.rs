//! Which librdkafka properties may be set here: any, but those that have a key of their own, and those that need
//! what this build was made without.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

/// Properties that the program sets itself, and the key that sets them.
const OWN: [(&str, &str); 8] = [
    ("bootstrap.servers", "set queue.kafka.brokers instead"),
    ("metadata.broker.list", "set queue.kafka.brokers instead"),
    ("group.id", "set queue.kafka.group instead"),
    ("enable.auto.commit", "what was taken is acknowledged when the ledger has it, never by itself"),
    ("enable.auto.offset.store", "what was taken is acknowledged when the ledger has it, never by itself"),
    ("acks", "an announcement counts when every replica has it"),
    ("request.required.acks", "an announcement counts when every replica has it"),
    ("enable.idempotence", "announcements are always sent idempotently"),
];

/// The property that cannot be set, and why.
pub(super) fn check(properties: &BTreeMap<String, SecretString>) -> Result<(), (String, String)> {
    for (name, value) in properties {
        if let Some((_, why)) = OWN.iter().find(|(own, _)| own == name) {
            return Err((name.clone(), format!("this property cannot be set: {why}")));
        }
        let needed = if cfg!(feature = "kafka-tls") { None } else { needs(name, value.expose_secret()) };
        if let Some(what) = needed {
            let why = format!("{what} is not in this build: build with `cargo build --release --features kafka-tls`");
            return Err((name.clone(), why));
        }
    }
    Ok(())
}

/// What a property needs of the feature `kafka-tls`.
fn needs(name: &str, value: &str) -> Option<&'static str> {
    let value = value.to_lowercase();
    match name {
        "security.protocol" if value.contains("ssl") => Some("TLS for Kafka"),
        "sasl.mechanism" | "sasl.mechanisms" if value.contains("scram") || value.contains("oauth") => {
            Some("this SASL mechanism for Kafka")
        }
        "compression.type" | "compression.codec" if value == "zstd" => Some("zstd for Kafka"),
        _ if name.starts_with("ssl.") || name.starts_with("enable.ssl.") => Some("TLS for Kafka"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, value: &str) -> Option<String> {
        check(&BTreeMap::from([(name.into(), value.into())])).err().map(|(_, why)| why)
    }

    #[test]
    fn what_needs_tls_or_zstd_is_refused_by_a_build_without() {
        let needing = [
            ("security.protocol", "SASL_SSL"),
            ("security.protocol", "ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("compression.type", "zstd"),
            ("ssl.ca.location", "/etc/ca.pem"),
        ];
        for (name, value) in needing {
            let refused = refusal(name, value).is_some_and(|why| why.contains("--features kafka-tls"));
            assert_eq!(refused, !cfg!(feature = "kafka-tls"), "{name}");
        }
        assert_eq!(refusal("security.protocol", "plaintext"), None);
        assert_eq!(refusal("compression.type", "lz4"), None);
    }

    #[test]
    fn a_property_with_a_key_of_its_own_is_refused_with_that_key() {
        assert!(refusal("group.id", "x").unwrap().contains("queue.kafka.group"));
    }
}
