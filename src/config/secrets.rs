//! Secrets: each key `x` may come as itself, as `x_file` (a file that holds it), or as the systemd credential named
//! like the key (`$CREDENTIALS_DIRECTORY/store.mysql.password`). Two at once are refused, and no message shows a value.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use figment::value::Value;
use secrecy::{ExposeSecret, SecretString};

use super::{
    layers::{Origin, Origins, refused, wrong},
    text::{Property, Secret, Text},
};
use crate::error::Result;

/// What in a property's name tells that its value is a secret, also where the name is misspelt.
const SECRET_WORDS: [&str; 9] = ["pas", "pw", "secret", "token", "key", "pem", "credential", "jaas", "oauthbearer"];

/// Whether a librdkafka property holds a secret.
pub fn is_secret_property(name: &str) -> bool {
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Finds secrets by their key.
pub(super) struct Secrets<'a> {
    pub origins: &'a mut Origins,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

impl Secrets<'_> {
    /// The secret of a key, wherever it comes from; `None` when it is set nowhere.
    pub fn find(
        &mut self,
        key: &str,
        value: Option<Secret>,
        file: Option<Text<String>>,
    ) -> Result<Option<SecretString>> {
        let credential = self.credentials.as_ref().map(|folder| folder.join(key)).filter(|path| path.exists());
        let file_key = format!("{key}_file");
        let mut ways = Vec::new();
        // Empty is what the shipped file has: it sets nothing, and so contradicts nothing.
        if value.as_ref().is_some_and(|Secret(secret)| !secret.expose_secret().is_empty()) {
            ways.push(format!("{key} ({})", self.origin(key)));
        }
        if file.is_some() {
            ways.push(format!("{file_key} ({})", self.origin(&file_key)));
        }
        if credential.is_some() {
            ways.push(format!("the credential {key}"));
        }
        if let [first, second, ..] = &ways[..] {
            return Err(refused(format!("{first} and {second} are both set: keep one of them")));
        }
        if let Some(Text(path)) = file {
            let secret = read(Path::new(&path)).map_err(|why| wrong(self.origins, &file_key, why))?;
            let origin = Origin::SecretFile(file_key.clone(), Box::new(self.origin(&file_key)));
            self.origins.insert(key.into(), origin);
            return Ok(Some(secret));
        }
        if let Some(path) = credential {
            let secret = read(&path).map_err(|why| refused(format!("credential {key}: {why}")))?;
            self.origins.insert(key.into(), Origin::Credential(key.into()));
            return Ok(Some(secret));
        }
        Ok(value.map(|Secret(secret)| secret))
    }

    /// librdkafka's properties: tables inside are dotted names (`sasl.password = …` in TOML is such a table), and
    /// each may come as a secret does.
    pub fn properties(&mut self, values: &BTreeMap<String, Value>) -> Result<BTreeMap<String, SecretString>> {
        const SECTION: &str = "queue.kafka.properties";
        let mut flat = BTreeMap::new();
        for (name, value) in values {
            flatten(name, value, &mut flat);
        }
        let mut names: Vec<String> =
            flat.keys().map(|name| name.strip_suffix("_file").unwrap_or(name).to_string()).collect();
        names.extend(self.credential_names(&format!("{SECTION}."))?);
        names.sort();
        names.dedup();
        let mut properties = BTreeMap::new();
        for name in names {
            let key = format!("{SECTION}.{name}");
            let text = |name: &str| match flat.get(name) {
                None => Ok(None),
                Some(value) => value.deserialize::<Text<Property>>().map(Some).map_err(|_| {
                    wrong(self.origins, &format!("{SECTION}.{name}"), "it must be text, a number, true or false")
                }),
            };
            let value = text(&name)?.map(|Text(Property(secret))| Secret(secret));
            let file = text(&format!("{name}_file"))?;
            let file = file.map(|Text(Property(path))| Text(path.expose_secret().to_string()));
            if let Some(secret) = self.find(&key, value, file)? {
                properties.insert(name, secret);
            }
        }
        Ok(properties)
    }

    fn credential_names(&self, prefix: &str) -> Result<Vec<String>> {
        let Some(folder) = &self.credentials else { return Ok(Vec::new()) };
        let listing = |error| refused(format!("reading the credentials in {}", folder.display())).because(error);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(listing)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(listing)?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_prefix(prefix)).map(Into::into));
        }
        Ok(names)
    }

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

fn flatten<'a>(name: &str, value: &'a Value, flat: &mut BTreeMap<String, &'a Value>) {
    if let Value::Dict(_, inner) = value {
        for (key, value) in inner {
            flatten(&format!("{name}.{key}"), value, flat);
        }
    } else {
        flat.insert(name.into(), value);
    }
}

/// A secret from a file, without the one line end that editors and `echo` put behind it.
fn read(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("reading {shown}: {error}"))?;
    let secret = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() { Err(format!("{shown} is empty")) } else { Ok(secret.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, Loaded};

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("Config.toml");
        std::fs::write(&config, toml).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let layers = Layers { config: Some(config), environment, ..Layers::default() };
        layers.load().map_err(|error| error.to_string())
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_string();
        (folder, path)
    }

    #[test]
    fn a_secret_file_loses_one_line_end_and_nothing_else() {
        for (written, meant) in [("a b \n", "a b "), ("x\r\n", "x"), ("x\n\n", "x\n"), ("x", "x")] {
            let (_folder, path) = file(written);
            let loaded = load(&format!("store.mysql.password_file = '{path}'"), &[]).unwrap();
            assert_eq!(loaded.config.store.mysql.password.expose_secret(), meant);
            assert!(loaded.origin("store.mysql.password").to_string().starts_with("store.mysql.password_file in "));
        }
    }

    #[test]
    fn an_empty_or_missing_secret_file_is_refused_by_name() {
        let (_folder, path) = file("\n");
        let error = load("", &[("USERDATA_ARCHIVE__FTP__PASSWORD_FILE", &path)]).unwrap_err();
        assert_eq!(
            error,
            format!("archive.ftp.password_file in variable USERDATA_ARCHIVE__FTP__PASSWORD_FILE: {path} is empty")
        );
        let error = load("worker.token_file = '/nowhere/token'", &[]).unwrap_err();
        assert!(error.starts_with("worker.token_file in ") && error.contains("/nowhere/token"), "{error}");
    }

    #[test]
    fn a_credential_has_the_name_of_its_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("store.mysql.password"), "geheim\n").unwrap();
        std::fs::write(folder.path().join("queue.kafka.properties.sasl.password"), "auch\n").unwrap();
        let credentials = ("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());
        let loaded = load("", &[credentials]).unwrap();
        assert_eq!(loaded.config.store.mysql.password.expose_secret(), "geheim");
        assert_eq!(loaded.config.queue.kafka.properties["sasl.password"].expose_secret(), "auch");
        assert_eq!(loaded.origin("store.mysql.password").to_string(), "credential store.mysql.password");
    }

    #[test]
    fn two_sources_of_one_secret_are_a_contradiction_and_no_value_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("store.mysql.password"), "geheim").unwrap();
        let credentials = ("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());
        let error = load("store.mysql.password = 'andere'", &[credentials]).unwrap_err();
        assert!(error.contains("the credential store.mysql.password are both set: keep one"), "{error}");
        assert!(!error.contains("geheim") && !error.contains("andere"), "{error}");
        let variables = [("USERDATA_WORKER__TOKEN", "geheim"), ("USERDATA_WORKER__TOKEN_FILE", "/x")];
        let error = load("", &variables).unwrap_err();
        assert!(error.contains("worker.token (variable USERDATA_WORKER__TOKEN) and worker.token_file"), "{error}");
    }

    #[test]
    fn the_empty_passwords_of_the_shipped_file_contradict_no_credential() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("store.mysql.password"), "geheim").unwrap();
        let credentials = ("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());
        let loaded = load(include_str!("../../Config.toml"), &[credentials]).unwrap();
        assert_eq!(loaded.config.store.mysql.password.expose_secret(), "geheim");
    }

    #[test]
    fn properties_may_be_written_with_dots_quotes_tables_variables_and_files() {
        let (_folder, path) = file("geheim\n");
        let toml = format!(
            "[queue.kafka.properties]\n\"client.rack\" = 'a'\nlinger.ms = 5\nsocket.keepalive.enable = true\n\"sasl.password_file\" = '{path}'"
        );
        let name = "USERDATA_QUEUE__KAFKA__PROPERTIES__SASL_USERNAME";
        let properties = load(&toml, &[(name, "0123")]).unwrap().config.queue.kafka.properties;
        let shown: Vec<_> = properties.iter().map(|(name, value)| (&**name, value.expose_secret())).collect();
        let expected = [
            ("client.rack", "a"),
            ("linger.ms", "5"),
            ("sasl.password", "geheim"),
            ("sasl.username", "0123"),
            ("socket.keepalive.enable", "true"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_property_that_could_be_a_secret_is_treated_as_one() {
        for name in
            ["sasl.password", "sasl.pasword", "ssl.key.pem", "sasl.oauthbearer.client.secret", "ssl.key.password"]
        {
            assert!(is_secret_property(name), "{name}");
        }
        assert!(!is_secret_property("security.protocol"));
    }
}
