//! The README's settings: each key can be set in the file and by its variable, and `userdata config` shows it with
//! where it came from. Values are the README's own, else Config.toml's, defaults and examples alike.

use std::collections::BTreeMap;

use serde_json::Value;

use super::named::{Named, named};
use crate::{process, world::World};

const SHIPPED: &str = include_str!("../../../../Config.toml");

/// Values for keys whose default and example are empty, or name a file that must be there.
const FILLED: [(&str, &str); 3] =
    [("worker.servers", "http://10.0.0.4:9000"), ("worker.paths", "/"), ("server.open_to", "10.0.0.0/8")];

/// `userdata config --json`: key → value, origin, secret.
async fn shown(world: &World, variables: &BTreeMap<String, String>, file: Option<&str>) -> BTreeMap<String, Value> {
    let mut command = process::command(world.path(), &["config", "--json"]);
    if let Some(text) = file {
        world.write("Config.toml", text);
    }
    let output = process::run(command.envs(variables)).await.expect(0);
    if file.is_some() {
        std::fs::remove_file(world.path().join("Config.toml")).unwrap();
    }
    serde_json::from_str(&output.stdout()).unwrap()
}

/// Key → value of a TOML text.
fn flat(text: &str) -> BTreeMap<String, toml::Value> {
    fn add(prefix: &str, table: &toml::Table, flat: &mut BTreeMap<String, toml::Value>) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                toml::Value::Table(table) if !table.is_empty() => add(&format!("{key}."), table, flat),
                value => drop(flat.insert(key, value.clone())),
            }
        }
    }
    let table = text.parse().unwrap_or_else(|error| panic!("the README's TOML cannot be read: {error}\n{text}"));
    let mut flat_ = BTreeMap::new();
    add("", &table, &mut flat_);
    flat_
}

/// Config.toml with its commented keys, where they have an example.
fn examples() -> BTreeMap<String, toml::Value> {
    let known = |line: &str| {
        let key = line.split_once(" = ").map(|(key, _)| key)?;
        (!key.contains([' ', '['])).then(|| line.to_owned())
    };
    let lines = SHIPPED.lines().map(|line| line.strip_prefix("# ").and_then(known).unwrap_or_else(|| line.to_owned()));
    let mut seen = Vec::new();
    // Of an empty default and an example the example, of two the first.
    let lines = lines.filter(|line| {
        let section = line.starts_with('[');
        if section {
            seen.clear();
        }
        let key = line.split_once(" = ").map(|(key, _)| key.to_owned());
        let new = key.as_ref().is_none_or(|key| !seen.contains(key));
        seen.extend(key);
        new
    });
    let text: Vec<_> = lines.filter(|line| !line.contains("[server.token]")).collect();
    let text = text.join("\n").replace("\nname = \"branch-office\"", "").replace("\nrole = \"upload\"", "");
    flat(&text)
}

/// As a variable holds it.
fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The keys that the README names, whole; what looks like one and is none fails.
fn keys(named: &Named, known: &BTreeMap<String, Value>) -> BTreeMap<String, Option<toml::Value>> {
    let secret = |key: &str| known.get(key).is_some_and(|key| key["secret"] == true);
    let mut keys = BTreeMap::new();
    let mut name = |key: &str, value: Option<toml::Value>| {
        let plain = key.strip_suffix("_file").filter(|key| secret(key)).unwrap_or(key);
        let found = known.contains_key(plain) || plain.starts_with("queue.kafka.properties.");
        assert!(found, "the README names the setting {key}, which the configuration does not have");
        if known.contains_key(plain) {
            let slot: &mut Option<_> = keys.entry(key.to_owned()).or_default();
            *slot = slot.take().or(value);
        }
    };
    for (key, value) in named.toml.iter().flat_map(|text| flat(text)) {
        match &value {
            toml::Value::Table(_) => {
                assert!(known.keys().any(|known| known.starts_with(&format!("{key}."))), "no section [{key}]");
            }
            _ => name(&key, Some(value)),
        }
    }
    // That one says where the settings are.
    for variable in named.variables.iter().filter(|variable| *variable != "USERDATA_CONFIG") {
        let key = variable["USERDATA_".len()..].to_lowercase().replace("__", ".");
        name(&key, None);
    }
    for key in &named.credentials {
        assert!(secret(key) || key.starts_with("queue.kafka.properties."), "{key} is no secret");
    }
    for key in &named.settings {
        let first = key.split('.').next().unwrap();
        let default = |value: &Value| value["value"] == first;
        if key.contains('.') {
            // `userdb.userinfo` names a table.
            if !known.values().any(default) {
                name(key, None);
            }
        } else if let Some(whole) = known.keys().find(|whole| **whole == format!("rows.{key}") || *whole == key) {
            name(whole, None);
        } else {
            assert!(!key.contains('_') || key == "x_file", "the README names {key}, which is no setting");
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_in_the_readme_is_set_by_file_and_variable_and_shown_with_its_origin() {
    let world = World::embedded();
    let known = shown(&world, &BTreeMap::new(), None).await;
    let (named, examples) = (named(), examples());
    let mut keys = keys(&named, &known);
    if !cfg!(feature = "spark") {
        // Refused by a build without it.
        keys.remove("spark.remote");
    }
    assert!(keys.len() > 20, "{keys:?}");
    let password = world.write("password", "from-a-file\n").display().to_string();
    let value = |key: &str, given: Option<toml::Value>| -> toml::Value {
        let secret = known.get(key).is_some_and(|key| key["secret"] == true);
        let filled = FILLED.iter().find(|(filled, _)| *filled == key).map(|(_, value)| (*value).to_owned());
        let filled = filled.or_else(|| key.ends_with("_file").then(|| password.clone()));
        let filled = filled.or_else(|| secret.then(|| "a-secret".to_owned())).map(toml::Value::String);
        filled.or(given).or_else(|| examples.get(key).cloned()).unwrap_or_else(|| panic!("no value for {key}"))
    };
    let keys: BTreeMap<_, _> = keys.into_iter().map(|(key, given)| (key.clone(), value(&key, given))).collect();
    let of_list = |key: &str| known.get(key).is_some_and(|key| key["value"].is_array());

    let mut file = String::new();
    for (key, value) in &keys {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let value =
            if of_list(key) && value.is_str() { toml::Value::Array(vec![value.clone()]) } else { value.clone() };
        match section {
            "" => file.insert_str(0, &format!("{name} = {value}\n")),
            _ if key == "server.token" => {
                file += "[[server.token]]\nname = \"one\"\nrole = \"worker\"\n";
                file += &format!("sha256 = \"{}\"\n", "0f".repeat(32));
            }
            _ => file += &format!("[{section}]\n{name} = {value}\n"),
        }
    }
    let in_file = shown(&world, &BTreeMap::new(), Some(&regrouped(&file))).await;
    let variables = keys.iter().filter(|(key, _)| *key != "server.token");
    let name = |key: &str| format!("USERDATA_{}", key.to_uppercase().replace('.', "__"));
    let by_variable = shown(&world, &variables.map(|(key, value)| (name(key), text(value))).collect(), None).await;
    for key in keys.keys() {
        let secret = key.strip_suffix("_file").filter(|secret| known.contains_key(*secret));
        let at = secret.unwrap_or(key);
        let wanted = |place: &str| secret.map_or(place.to_owned(), |_| format!("{key} in {place}"));
        assert_eq!(in_file[at]["origin"], wanted("./Config.toml"), "{key}");
        if key != "server.token" {
            assert_eq!(by_variable[at]["origin"], wanted(&format!("variable {}", name(key))), "{key}");
            assert_eq!(in_file[at]["value"], by_variable[at]["value"], "{key}");
        }
    }
}

/// Each section once.
fn regrouped(text: &str) -> String {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut section = "";
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
            sections.entry(section).or_default();
        } else {
            sections.entry(section).or_default().push(line);
        }
    }
    let lines = sections.into_iter().flat_map(|(section, lines)| std::iter::once(section).chain(lines));
    lines.collect::<Vec<_>>().join("\n")
}
