//! Where values come from: built-in defaults, then `$STATE_DIRECTORY`, the file, the environment and the flags, each
//! over the one before. What is wrong is refused in one sentence that names the key, its place and what is possible.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::{Actual, Kind},
    value::{Dict, Map, Value},
};

use super::{Config, check, file::File};
use crate::error::{Error, Result};

/// What every variable of the configuration begins with.
const PREFIX: &str = "USERDATA_";
/// Variables that begin so and are none of the configuration's: services, the file's own place, faults.
const OTHERS: [&str; 3] = ["USERDATA_SERVICES", "USERDATA_CONFIG", "USERDATA_FAULT"];
/// And all that begin with this.
const OF_TESTS: &str = "USERDATA_TEST_";
/// Where the file is looked for when no flag names one; the first that exists is read, no other.
const PLACES: [&str; 2] = ["./Config.toml", "/etc/userdata/Config.toml"];

/// Where an effective value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
    /// A systemd credential.
    Credential(String),
    /// A secret's `x_file`, with the place where that is written.
    SecretFile(String, Box<Origin>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::SecretFile(key, origin) => write!(f, "{key} in {origin}"),
        }
    }
}

/// Where each key that is not a default came from.
pub(super) type Origins = BTreeMap<String, Origin>;

/// The configuration with where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    pub(super) origins: Origins,
}

impl Loaded {
    pub fn origin(&self, key: &str) -> &Origin {
        origin(&self.origins, key)
    }
}

/// Of a key, or of the first key below it.
fn origin<'a>(origins: &'a Origins, key: &str) -> &'a Origin {
    let below = || origins.iter().find(|(known, _)| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
    let above = || origins.iter().find(|(known, _)| key.strip_prefix(*known).is_some_and(|rest| rest.starts_with('.')));
    origins.get(key).or_else(|| below().or_else(above).map(|(_, origin)| origin)).unwrap_or(&Origin::Default)
}

/// One refusal, as one sentence.
pub(super) fn refused(text: impl Into<String>) -> Error {
    Error::fatal("configuration", text)
}

/// Refuses a key's value.
pub(super) fn wrong(origins: &Origins, key: &str, why: impl fmt::Display) -> Error {
    match origin(origins, key) {
        Origin::Default => refused(format!("{key}: {why}")),
        origin => refused(format!("{key} in {origin}: {why}")),
    }
}

/// What a configuration is made of. Tests fill it by hand; a process takes `of_process`.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file named by `--config`: it must be there.
    pub config: Option<PathBuf>,
    /// Else the first of these that exists.
    pub places: Vec<PathBuf>,
    pub environment: BTreeMap<String, String>,
    /// Key, flag and value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Layers {
    /// What this process was started with.
    pub fn of_process(config: Option<PathBuf>) -> Result<Self> {
        let mut environment = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            let ours = name.starts_with(PREFIX) || matches!(&*name, "STATE_DIRECTORY" | "CREDENTIALS_DIRECTORY");
            if ours {
                let value = value.into_string();
                let value = value.map_err(|_| refused(format!("variable {name} holds bytes that are not UTF-8")))?;
                environment.insert(name, value);
            }
        }
        Ok(Self { config, places: PLACES.map(Into::into).into(), environment, flags: Vec::new() })
    }

    /// Adds a flag's value, if the flag was given.
    #[must_use]
    pub fn flag(mut self, key: &'static str, flag: &'static str, value: Option<impl fmt::Display>) -> Self {
        self.flags.extend(value.map(|value| (key, flag, value.to_string())));
        self
    }

    /// Puts the layers together and checks the result.
    pub fn load(&self) -> Result<Loaded> {
        let mut origins = Origins::new();
        let mut figment = Figment::new();
        let mut add = |layer: Layer| {
            // Lists and scalars of a higher layer replace those of a lower one whole.
            note(&layer.values, "", &mut origins, &layer.origin);
            figment = std::mem::take(&mut figment).merge(layer);
        };
        if let Some(layer) = self.state_directory()? {
            add(layer);
        }
        let file = self.file()?;
        if let Some(path) = &file {
            add(Layer::file(path)?);
        }
        for layer in self.variables()? {
            add(layer);
        }
        for (key, flag, value) in &self.flags {
            add(Layer::one(key.split('.'), value, Origin::Flag(flag)));
        }
        let values = figment.extract::<File>().map_err(|error| explain(error, &origins))?;
        let config = check::effective(values, &mut origins, &self.environment)?;
        Ok(Loaded { config, file, origins })
    }

    fn state_directory(&self) -> Result<Option<Layer>> {
        // systemd gives several with colons between them when a unit asks for several; the first is the data's.
        let first = self.environment.get("STATE_DIRECTORY").and_then(|value| value.split(':').next());
        let set = first.filter(|path| !path.is_empty());
        Ok(set.map(|path| Layer::one(["data"], path, Origin::Variable("STATE_DIRECTORY".into()))))
    }

    fn file(&self) -> Result<Option<PathBuf>> {
        if let Some(path) = &self.config {
            return Ok(Some(path.clone()));
        }
        for path in &self.places {
            match path.try_exists() {
                Ok(true) => return Ok(Some(path.clone())),
                Ok(false) => {}
                Err(error) => return Err(refused(format!("reading {}", path.display())).because(error)),
            }
        }
        Ok(None)
    }

    fn variables(&self) -> Result<Vec<Layer>> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, value) in &self.environment {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            // An empty variable counts as unset.
            if value.is_empty() || OTHERS.contains(&name.as_str()) || name.starts_with(OF_TESTS) {
                continue;
            }
            let path = variable_path(rest);
            if path.iter().any(String::is_empty) {
                return Err(refused(format!(
                    "variable {name} names no key: write {PREFIX}SECTION__KEY, such as {PREFIX}STORE__MYSQL__HOST"
                )));
            }
            let key = path.join(".");
            let clash = seen.iter().find(|(other, _)| {
                **other == key || key.starts_with(&format!("{other}.")) || other.starts_with(&format!("{key}."))
            });
            if let Some((_, other)) = clash {
                return Err(refused(format!("variables {other} and {name} both set {key}: set one of them")));
            }
            seen.insert(key, name);
            layers.push(Layer::one(path.iter().map(String::as_str), value, Origin::Variable(name.clone())));
        }
        Ok(layers)
    }
}

/// `STORE__MYSQL__HOST` → store, mysql, host. librdkafka's properties have dots, variables cannot:
/// `QUEUE__KAFKA__PROPERTIES__SASL_PASSWORD` is `sasl.password`.
fn variable_path(rest: &str) -> Vec<String> {
    let rest = rest.to_lowercase();
    if let Some(property) = rest.strip_prefix("queue__kafka__properties__") {
        let (name, file) = property.strip_suffix("_file").map_or((property, ""), |name| (name, "_file"));
        let name = if name == "log_level" { name.to_string() } else { name.replace("__", "_").replace('_', ".") };
        return ["queue", "kafka", "properties", &format!("{name}{file}")].map(Into::into).into();
    }
    rest.split("__").map(Into::into).collect()
}

/// Values of one place.
struct Layer {
    values: Dict,
    origin: Origin,
}

impl Layer {
    fn one<'a>(path: impl IntoIterator<Item = &'a str>, value: &str, origin: Origin) -> Self {
        let mut path: Vec<&str> = path.into_iter().collect();
        let last = path.pop().unwrap_or_default();
        // Always text: `0123` stays a password, and a typed key reads its own text.
        let mut values = Dict::from([(last.to_string(), Value::from(value))]);
        for section in path.into_iter().rev() {
            values = Dict::from([(section.to_string(), Value::from(values))]);
        }
        Self { values, origin }
    }

    fn file(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| refused(format!("reading {shown}")).because(error))?;
        // The parser's own text would show the line, and there may be a secret in it.
        let values = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let why = error.message().lines().collect::<Vec<_>>().join(", ");
            refused(format!("{shown} is not TOML, line {line}: {why}"))
        })?;
        Ok(Self { values, origin: Origin::File(path.into()) })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Notes a layer's keys; what it replaces loses its note.
fn note(values: &Dict, above: &str, origins: &mut Origins, origin: &Origin) {
    for (key, value) in values {
        let key = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        if let Value::Dict(_, inner) = value {
            origins.remove(&key);
            note(inner, &key, origins, origin);
        } else {
            let below = format!("{key}.");
            origins.retain(|known, _| !known.starts_with(&below));
            origins.insert(key, origin.clone());
        }
    }
}

/// One sentence from figment's error, without any value that could be a secret.
fn explain(error: figment::Error, origins: &Origins) -> Error {
    let named = error.path.iter().filter(|part| part.parse::<usize>().is_err());
    let key = named.map(String::as_str).collect::<Vec<_>>().join(".");
    match error.kind {
        Kind::UnknownField(name, known) => {
            let key = if error.path.last() == Some(&name) || key.is_empty() { key } else { format!("{key}.{name}") };
            let key = if key.is_empty() { name } else { key };
            let section = key.rsplit_once('.').map_or("the top level".into(), |(section, _)| format!("[{section}]"));
            let place = match origin(origins, &key) {
                Origin::Default => String::new(),
                origin => format!(" in {origin}"),
            };
            let mut text = format!("unknown key {key}{place}: {section} has {}", known.join(", "));
            if let Some(meant) = meant(&key) {
                text = format!("unknown key {key}{place}: {meant} is meant perhaps");
            }
            refused(text)
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            wrong(origins, &key, format!("{} is not possible, it must be {}", type_name(&found), possible(&expected)))
        }
        Kind::UnknownVariant(found, known) => {
            let found = found.escape_debug();
            wrong(origins, &key, format!("\"{found}\" is not possible, it must be {}", known.join(" or ")))
        }
        Kind::MissingField(name) => wrong(origins, &key, format!("{name} is missing")),
        Kind::Message(text) => wrong(origins, &key, text),
        _ => wrong(origins, &key, "this value is not possible"),
    }
}

/// The known key that differs by nothing but its separators: `USERDATA_STORE_MYSQL_HOST` for `…STORE__MYSQL__HOST`.
fn meant(key: &str) -> Option<String> {
    let plain = |text: &str| text.replace(['.', '_', '-'], "").to_lowercase();
    let known = super::show::keys().into_iter().find(|known| plain(known) == plain(key))?;
    Some(format!("{known} (variable {PREFIX}{})", known.to_uppercase().replace('.', "__")))
}

/// Words for what serde calls a type.
fn possible(expected: &str) -> &str {
    if expected.starts_with("struct ") || expected == "a map" {
        "a section or table"
    } else if expected.starts_with("enum ") || expected.starts_with("a string") {
        "text in quotes"
    } else if expected == "a sequence" {
        "a list of tables, and can be set in a file only"
    } else {
        expected
    }
}

fn type_name(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a bare number",
        Actual::Char(_) | Actual::Str(_) | Actual::Bytes(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "this value",
    }
}
