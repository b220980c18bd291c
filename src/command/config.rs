//! `config`: the effective configuration and where each value came from, secrets hidden.

use serde_json::{Map, json};

use super::{Exit, output};
use crate::{
    config::{Loaded, show},
    error::Result,
};

pub fn run(loaded: &Loaded, as_json: bool) -> Result<Exit> {
    let text = if as_json { json(loaded) } else { toml(loaded) };
    output::data(text)?;
    Ok(Exit::Done)
}

/// An object a key: `{"store.mysql.host": {"value": …, "origin": "…"}}`.
fn json(loaded: &Loaded) -> String {
    let settings = show::settings(&loaded.config).into_iter();
    let entries: Map<_, _> = settings
        .map(|setting| {
            let origin = loaded.origin(&setting.key).to_string();
            let value = json!({ "value": setting.value, "origin": origin, "secret": setting.secret });
            (setting.key, value)
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(entries))
}

/// TOML that could be a `Config.toml`, but for the secrets, with each value's origin behind it.
fn toml(loaded: &Loaded) -> String {
    let mut text = match &loaded.file {
        Some(file) => format!("# file read: {}\n", file.display()),
        None => "# no file read\n".into(),
    };
    let mut section = String::new();
    for setting in show::settings(&loaded.config) {
        let (here, name) = split(&setting.key);
        if here != section {
            text += &format!("\n[{here}]\n");
            section = here.into();
        }
        let origin = loaded.origin(&setting.key);
        text += &match setting.value {
            Some(value) => format!("{name} = {}  # {origin}\n", show::toml(&value)),
            None => format!("# {name} is not set\n"),
        };
    }
    text
}

/// A key's section and name. librdkafka's properties have dots in their names.
fn split(key: &str) -> (&str, String) {
    const PROPERTIES: &str = "queue.kafka.properties";
    if let Some(property) = key.strip_prefix(PROPERTIES).and_then(|rest| rest.strip_prefix('.')) {
        return (PROPERTIES, format!("\"{property}\""));
    }
    key.rsplit_once('.').map_or(("", key.into()), |(section, name)| (section, name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn loaded(variables: &[(&str, &str)]) -> Loaded {
        let environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Layers { environment, ..Layers::default() }.load().unwrap()
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let shown = loaded(&[
            ("USERDATA_ROWS__DELIMITER", "\\t"),
            ("USERDATA_ROWS__COLUMNS__NAME", "Name \"x\""),
            ("USERDATA_QUEUE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "plaintext"),
            ("USERDATA_SPOOL__KEEP", "90s"),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Config.toml");
        std::fs::write(&file, toml(&shown)).unwrap();
        let read = Layers { config: Some(file), ..Layers::default() }.load().unwrap();
        assert_eq!(show::settings(&read.config), show::settings(&shown.config));
    }

    #[test]
    fn secrets_are_hidden_and_origins_are_told() {
        let shown = loaded(&[
            ("USERDATA_STORE__MYSQL__PASSWORD", "geheim"),
            ("USERDATA_QUEUE__KAFKA__PROPERTIES__SASL_PASSWORD", "geheim"),
            ("USERDATA_WORKER__TOKEN", "geheim"),
        ]);
        for text in [toml(&shown), json(&shown)] {
            assert!(!text.contains("geheim"), "{text}");
            assert!(text.contains("variable USERDATA_STORE__MYSQL__PASSWORD"), "{text}");
        }
        assert!(toml(&shown).contains("password = \"***\"  # variable USERDATA_STORE__MYSQL__PASSWORD\n"));
        assert!(toml(&shown).contains("listen = \"127.0.0.1:9000\"  # default\n"));
    }
}
