//! What a person who configures the program relies on.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::{Layers, Loaded, show};

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("Config.toml");
    std::fs::write(&place, toml).unwrap();
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let layers = Layers { places: vec![place], environment, ..Layers::default() };
    layers.load().map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), "."))
}

fn refusal(toml: &str) -> String {
    load(toml, &[]).map(|loaded| format!("{:?} was accepted", loaded.file)).unwrap_or_else(|refusal| refusal)
}

const SHIPPED: &str = include_str!("../../Config.toml");

#[test]
fn the_shipped_file_equals_the_built_in_defaults() {
    let shipped = show::settings(&load(SHIPPED, &[]).unwrap().config);
    let built_in = show::settings(&load("", &[]).unwrap().config);
    assert_eq!(shipped, built_in);
}

#[test]
fn the_shipped_file_has_every_key_with_a_comment() {
    let mut section = String::new();
    let (mut found, mut commented) = (BTreeSet::new(), false);
    for line in SHIPPED.lines() {
        let plain = line.trim_start_matches("# ");
        if let Some(list) = plain.strip_prefix("[[").and_then(|line| line.strip_suffix("]]")) {
            found.insert(list.to_string());
            section = format!("{list}.");
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
            continue;
        }
        let key = plain.split_once(" = ").map(|(key, _)| key).filter(|key| !key.contains([' ', '.', '[']));
        if let Some(key) = key {
            let key = format!("{section}{key}");
            let alternative = key.ends_with("_file") || key.ends_with("tls_pin_sha256");
            assert!(commented || alternative, "{key} has no comment");
            found.insert(key);
        } else {
            commented = line.starts_with("# ");
        }
    }
    let columns = |key: &String| key.starts_with("rows.columns.");
    let expected: BTreeSet<_> = show::keys().into_iter().filter(|key| !columns(key)).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(missing.is_empty(), "not in Config.toml: {missing:?}");
}

#[test]
fn a_higher_layer_wins_and_its_place_is_known() {
    let toml = "[store.mysql]\nhost = 'file'\nport = 1\n[server]\nlisten = '127.0.0.1:1'\n";
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("Config.toml");
    std::fs::write(&place, toml).unwrap();
    let variables = [("USERDATA_STORE__MYSQL__HOST", "variable"), ("USERDATA_SERVER__LISTEN", "127.0.0.1:2")];
    let environment = variables.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let layers = Layers { places: vec![place.clone()], environment, ..Layers::default() };
    let loaded = layers.flag("server.listen", "--listen", Some("127.0.0.1:3")).load().unwrap();
    assert_eq!(loaded.config.store.mysql.host, "variable");
    assert_eq!(loaded.config.store.mysql.port, 1);
    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(loaded.config.store.mysql.user, "");
    let origins = ["store.mysql.host", "store.mysql.port", "server.listen", "store.mysql.user"];
    let shown = origins.map(|key| loaded.origin(key).to_string());
    let place = place.display().to_string();
    assert_eq!(shown, ["variable USERDATA_STORE__MYSQL__HOST", &place, "flag --listen", "default"]);
}

#[test]
fn variables_are_read_as_the_key_wants_them() {
    let loaded = load(
        "",
        &[
            ("USERDATA_STORE__MYSQL__PASSWORD", "0123"),
            ("USERDATA_STORE__MYSQL__TABLE", "123"),
            ("USERDATA_WORKER__SLOTS", "5"),
            ("USERDATA_ROWS__HEADER", "false"),
            ("USERDATA_ROWS__FORMATS", "%Y/%m/%d, %d.%m.%Y"),
            ("USERDATA_ROWS__COLUMNS__ID", "7"),
            ("USERDATA_ROWS__MAX_REJECTS", "1%"),
            ("USERDATA_SPOOL__KEEP", "2h"),
            ("USERDATA_SPOOL__FREE_BYTES", "5GB"),
            ("USERDATA_WORKER__PATHS", "/a,/b"),
            ("USERDATA_QUEUE__KAFKA__BROKERS", "k1:9092,k2:9092"),
        ],
    );
    let config = loaded.unwrap().config;
    assert_eq!(config.store.mysql.password.expose_secret(), "0123");
    assert_eq!(config.store.mysql.table, "123");
    assert_eq!(config.worker.slots, 5);
    assert!(!config.rows.header);
    assert_eq!(config.rows.formats, ["%Y/%m/%d", "%d.%m.%Y"]);
    assert_eq!(config.rows.columns.positions().unwrap(), [6, 1, 2]);
    assert_eq!(config.rows.max_rejects.to_string(), "1%");
    assert_eq!(config.spool.keep.as_secs(), 7200);
    assert_eq!(config.spool.free_bytes, 5_000_000_000);
    assert_eq!(config.worker.paths, ["/a", "/b"].map(std::path::PathBuf::from));
    assert_eq!(config.queue.kafka.brokers, "k1:9092,k2:9092");
}

/// What a container's environment may hold: whatever the file may, but the list of tokens.
#[test]
fn every_key_can_be_set_by_a_variable() {
    let defaults = show::settings(&load("", &[]).unwrap().config);
    for setting in defaults {
        let text = match setting.value.unwrap_or_default() {
            serde_json::Value::String(text) if !text.is_empty() => text,
            serde_json::Value::Array(items) => {
                items.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(",")
            }
            serde_json::Value::Null | serde_json::Value::String(_) => String::new(),
            scalar => scalar.to_string(),
        };
        let (value, needed) = match (&*setting.key, &*text) {
            ("server.public_url" | "server.worker_url", _) => ("https://users.example.com", None),
            ("worker.servers", _) => ("http://10.0.0.4:9000", Some(("USERDATA_WORKER__TOKEN", "x"))),
            ("archive.ftp.tls_ca_file", _) => ("/etc/ca.pem", Some(("USERDATA_ARCHIVE__FTP__TLS", "explicit"))),
            ("archive.ftp.tls_pin_sha256", _) => (&*"9f".repeat(32), Some(("USERDATA_ARCHIVE__FTP__TLS", "explicit"))),
            ("server.tls.certificate", _) => ("/etc/c.pem", Some(("USERDATA_SERVER__TLS__KEY", "/etc/k.pem"))),
            ("server.tls.key", _) => ("/etc/k.pem", Some(("USERDATA_SERVER__TLS__CERTIFICATE", "/etc/c.pem"))),
            ("server.admin_token", _) => ("a-long-token", None),
            ("server.open_to", _) => ("10.0.0.0/8,::1", None),
            ("store.mysql.tls_ca_file", _) => ("/etc/ca.pem", Some(("USERDATA_STORE__MYSQL__TLS", "required"))),
            ("spark.remote", _) => ("sc://spark:15002", None),
            (_, "") => ("x", None),
            (_, text) => (text, None),
        };
        let name = format!("USERDATA_{}", setting.key.to_uppercase().replace('.', "__"));
        let variables: Vec<_> = needed.into_iter().chain([(&*name, value)]).collect();
        match load("", &variables) {
            Ok(loaded) => assert_eq!(loaded.origin(&setting.key).to_string(), format!("variable {name}")),
            Err(refusal) if setting.key == "spark.remote" && !cfg!(feature = "spark") => {
                assert!(refusal.contains("was built without Spark"), "{refusal}");
            }
            Err(refusal) => {
                assert_eq!(setting.key, "server.token", "{refusal}");
                assert!(refusal.contains("can be set in a file only"), "{refusal}");
            }
        }
    }
}

#[test]
fn an_empty_variable_counts_as_unset_and_those_of_tests_are_no_keys() {
    let variables = [
        ("USERDATA_STORE__KIND", ""),
        ("USERDATA_TEST_MYSQL", "x"),
        ("USERDATA_SERVICES", "x"),
        ("USERDATA_CONFIG", "x"),
        ("USERDATA_FAULT", "x"),
    ];
    assert!(load("", &variables).is_ok());
    let refusal = load("", &[("USERDATA_CONFIG_FILE", "x")]).unwrap_err();
    assert!(refusal.contains("USERDATA_CONFIG_FILE"), "{refusal}");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_keys_there_are() {
    assert_eq!(
        refusal("[queue]\nkindd = 'local'\n"),
        "unknown key queue.kindd in ./Config.toml: [queue] has kind, kafka"
    );
    assert!(
        refusal("[sparc]\nremote = 'sc://x'\n").starts_with("unknown key sparc in ./Config.toml: the top level has")
    );
    assert!(refusal("[rows.columns]\nnme = 'x'").starts_with("unknown key rows.columns.nme in ./Config.toml"));
    let error = load("", &[("USERDATA_STORE_MYSQL_HOST", "x")]).unwrap_err();
    assert_eq!(
        error,
        "unknown key store_mysql_host in variable USERDATA_STORE_MYSQL_HOST: store.mysql.host (variable \
         USERDATA_STORE__MYSQL__HOST) is meant perhaps"
    );
}

#[test]
fn a_wrong_type_is_refused_with_what_is_possible() {
    let cases = [
        ("worker.slots = 'two'", "worker.slots in ./Config.toml: \"two\" is not possible, it must be a whole number"),
        ("worker.slots = true", "worker.slots in ./Config.toml: true is not possible, it must be a whole number"),
        ("data = 5", "data in ./Config.toml: 5 is not possible, it must be text in quotes"),
        ("store = 5", "store in ./Config.toml: a bare number is not possible, it must be a section or table"),
        ("store.kind = 'mysq'", "store.kind in ./Config.toml: \"mysq\" is not possible, it must be sqlite or mysql"),
        ("store.kind = 5", "store.kind in ./Config.toml: a bare number is not possible, it must be"),
        ("spool.keep = 5", "spool.keep in ./Config.toml: 5 is not possible, it must be a length of time"),
        ("spool.free_bytes = '5 cows'", "spool.free_bytes in ./Config.toml: \"5 cows\" is not possible, it must be a"),
        ("server.listen = 'here'", "server.listen in ./Config.toml: \"here\" is not possible, it must be an address"),
        ("rows.zone = 'Mars'", "rows.zone in ./Config.toml: zone \"Mars\" is unknown; use an IANA name"),
        ("rows.header = 'maybe'", "rows.header in ./Config.toml: header \"maybe\" is neither true nor false"),
        ("[[server.token]]\nname = 'x'\nrole = 'read'", "server.token in ./Config.toml: sha256 is missing"),
    ];
    for (toml, expected) in cases {
        let refusal = refusal(toml);
        assert!(refusal.starts_with(expected), "{toml}\n{refusal}\n{expected}");
    }
}

#[test]
fn no_refusal_shows_a_secret() {
    let toml = [
        "store.mysql.password = 1234567",
        "[store]\nmysql.password = geheim",
        "store.mysql.pasword = 'geheim'",
        "store.mysql = 'geheim'",
        "worker.token = ['geheim']",
        "queue.kafka.properties.'sasl.password' = ['geheim']",
        "[[server.token]]\nname = 'x'\nrole = 'read'\nsha256 = 'geheim'",
        "server.admin_token = 'geheim'",
        "worker.servers = ['http://user:geheim@host']",
    ];
    for toml in toml {
        let refusal = refusal(toml);
        assert!(!refusal.contains("geheim") && !refusal.contains("1234567"), "{toml}\n{refusal}");
        assert!(refusal.contains("./Config.toml"), "{toml}\n{refusal}");
    }
    let error = load("", &[("USERDATA_STORE__MYSQL", "geheim")]).unwrap_err();
    assert!(error.contains("USERDATA_STORE__MYSQL") && !error.contains("geheim"), "{error}");
}

#[test]
fn contradictions_are_refused_by_their_keys() {
    let cases = [
        ("queue.kind = 'kafka'", "queue.kind in ./Config.toml: \"kafka\" needs queue.kafka.brokers"),
        ("archive.kind = 'ftp'", "archive.kind in ./Config.toml: \"ftp\" needs archive.ftp.host"),
        ("store.kind = 'mysql'", "store.kind in ./Config.toml: \"mysql\" needs store.mysql.host"),
        ("[store]\nkind = 'mysql'\nmysql.host = 'h'", "store.kind in ./Config.toml: \"mysql\" needs store.mysql.user"),
        (
            "worker.servers = ['http://a:1']",
            "worker.servers in ./Config.toml: fetching from a server needs worker.token",
        ),
        ("worker.servers = ['a:1']", "worker.servers in ./Config.toml: it must be an address such as http://host"),
        ("rows.header = false\nrows.columns.id = 'Kunde'", "rows in ./Config.toml: column \"Kunde\" is not a position"),
        ("archive.ftp.tls_ca_file = 'x'", "archive.ftp.tls_ca_file in ./Config.toml: it needs archive.ftp.tls"),
        ("store.mysql.tls_ca_file = 'x'", "store.mysql.tls_ca_file in ./Config.toml: it needs store.mysql.tls"),
        (
            "store.mysql.table = 'userdata_upload'",
            "store.mysql.table in ./Config.toml: names that begin with userdata_",
        ),
        ("spark.command = \"u'; rm\"", "spark.command in ./Config.toml: it must be the executable's path"),
        ("spark.chunk_bytes = '2GiB'", "spark.chunk_bytes in ./Config.toml: it must be from 64KiB to 1GiB"),
        ("spark.parts = 0", "spark.parts in ./Config.toml: 0 is not possible, it must be from 1 to 1000"),
        ("worker.lease_s = 0", "worker.lease_s in ./Config.toml: 0 is not possible, it must be from 2 to 3600"),
        ("spool.path = 'x'\nworker.work = 'x'", "worker.work in ./Config.toml"),
        ("queue.kafka.properties.group.id = 'x'", "queue.kafka.properties.group.id in ./Config.toml: this property"),
        ("spool.keep = '60d'", "spool.keep_failed is shorter than spool.keep"),
        ("server.tls.key = 'x'", "server.tls.key in ./Config.toml: it needs server.tls.certificate, too"),
        (
            "server.open_to = ['10.0.0.1/8']",
            "server.open_to in ./Config.toml: \"10.0.0.1/8\" has bits behind its prefix",
        ),
        ("server.admin_token = 'short'", "server.admin_token in ./Config.toml: it must have at least 8 characters"),
        ("server.max_connections = 0", "server.max_connections in ./Config.toml: 0 is not possible"),
        (
            "[[server.token]]\nname = 'local'\nsha256 = 'x'\nrole = 'read'",
            "server.token in ./Config.toml: \"local\" names other senders",
        ),
    ];
    for (toml, expected) in cases {
        let refusal = refusal(toml);
        assert!(refusal.starts_with(expected), "{toml}\n{refusal}\n{expected}");
    }
}

#[test]
fn what_follows_from_data_moves_with_it_also_under_systemd() {
    let config = load("data = '/srv/u'", &[]).unwrap().config;
    assert_eq!(config.database(), std::path::Path::new("/srv/u/userdata.db"));
    assert_eq!(config.archive_folder(), std::path::Path::new("/srv/u/archive"));
    assert_eq!(config.spool.path, std::path::Path::new("/srv/u/spool"));
    assert_eq!(config.worker.work, std::path::Path::new("/srv/u/work"));
    assert_eq!(config.worker.paths, [std::path::Path::new("/srv/u/spool")]);
    let state = ("STATE_DIRECTORY", "/var/lib/userdata:/var/lib/other");
    let loaded = load("", &[state]).unwrap();
    assert_eq!(loaded.config.data, std::path::Path::new("/var/lib/userdata"));
    assert_eq!(loaded.origin("data").to_string(), "variable STATE_DIRECTORY");
    assert_eq!(load("data = '/srv/u'", &[state]).unwrap().config.data, std::path::Path::new("/srv/u"));
}

#[test]
fn a_file_named_by_flag_must_be_there_and_an_unreadable_one_is_not_passed_over() {
    let layers = Layers { config: Some("/nowhere/Config.toml".into()), ..Layers::default() };
    assert!(layers.load().unwrap_err().to_string().starts_with("reading /nowhere/Config.toml: No such file"));
    let folder = tempfile::tempdir().unwrap();
    let layers = Layers { places: vec![folder.path().into()], ..Layers::default() };
    assert!(layers.load().unwrap_err().to_string().contains("Is a directory"));
}

#[test]
fn two_variables_for_one_key_are_refused() {
    let variables = [("USERDATA_ROWS__COLUMNS", "id=Kunde"), ("USERDATA_ROWS__COLUMNS__ID", "Kunde")];
    let error = load("", &variables).unwrap_err();
    assert!(error.contains("USERDATA_ROWS__COLUMNS and USERDATA_ROWS__COLUMNS__ID both set"), "{error}");
}
