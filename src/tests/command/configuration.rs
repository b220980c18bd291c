//! The configuration through the executable: places, variables, refusals, what `config` shows.

use crate::run::Place;

#[test]
fn without_a_file_everything_is_default() {
    let shown = Place::new().run("config").code(0).err_empty().out_has("# no file read\n");
    shown.out_has("listen = \"127.0.0.1:9000\"  # default\n").out_has("kind = \"sqlite\"  # default\n");
}

#[test]
fn the_file_in_this_folder_is_read_and_one_named_by_flag_or_variable_goes_before_it() {
    let place = Place::new();
    place.file("Config.toml", "worker.slots = 3\n").file("other.toml", "worker.slots = 4\n");
    place.run("config").code(0).out_has("slots = 3  # ./Config.toml\n");
    place.run("--config other.toml config").code(0).out_has("slots = 4  # other.toml\n");
    place.run("config --config other.toml").code(0).out_has("slots = 4  # other.toml\n");
    place.run_with("config", &[("USERDATA_CONFIG", "other.toml")]).code(0).out_has("slots = 4  # other.toml\n");
    place.run_with("config", &[("USERDATA_CONFIG", "")]).code(0).out_has("slots = 3  # ./Config.toml\n");
}

#[test]
fn a_variable_goes_over_the_file_and_is_named() {
    let place = Place::new();
    place.file("Config.toml", "worker.slots = 3\n");
    let variables = [("USERDATA_WORKER__SLOTS", "5"), ("USERDATA_STORE__KIND", ""), ("USERDATA_TEST_MYSQL", "x")];
    place.run_with("config", &variables).code(0).out_has("slots = 5  # variable USERDATA_WORKER__SLOTS\n");
}

#[test]
fn what_is_wrong_is_refused_with_code_2_by_every_role_before_anything_starts() {
    let place = Place::new();
    place.file("Config.toml", "[store.mysql]\nhots = \"x\"\n");
    for line in ["config", "serve", "worker", "status", "import x.csv", "topic create", "db init", "health"] {
        place
            .run(line)
            .code(2)
            .out_empty()
            .err_has("error: unknown key store.mysql.hots in ./Config.toml: [store.mysql] has host, port, user");
    }
    assert!(!place.path().join("data").exists());
}

#[test]
fn a_missing_file_is_refused_by_its_name() {
    Place::new().run("config --config none.toml").code(2).err_has("error: reading none.toml: No such file");
}

#[test]
fn a_property_that_librdkafka_refuses_is_named_and_its_value_is_not_shown() {
    let place = Place::new();
    place.file("Config.toml", "[queue]\nkind = \"kafka\"\nkafka.brokers = \"127.0.0.1:1\"\n");
    for (property, why) in [
        ("SASL_PASWORD", "error: [queue.kafka.properties] No such configuration property: \"sasl.pasword\"\nnext: "),
        ("SECURITY_PROTOCOL", "security.protocol"),
    ] {
        let variable = format!("USERDATA_QUEUE__KAFKA__PROPERTIES__{property}");
        let ran = place.run_with("status", &[(&variable, "geheim")]).code(2).out_empty().err_has(why);
        assert!(!ran.err().contains("geheim"), "{ran}");
    }
    let misspelt = [("USERDATA_QUEUE__KAFKA__PROPERTIES__SASL_PASWORD", "geheim")];
    let ran = place.run_with("config", &misspelt).code(0);
    assert!(!ran.out().contains("geheim"), "{ran}");
}

#[test]
fn secrets_are_never_shown() {
    let place = Place::new();
    place.file("password", "geheim\n");
    let variables =
        [("USERDATA_STORE__MYSQL__PASSWORD_FILE", "password"), ("USERDATA_ARCHIVE__FTP__PASSWORD", "geheim")];
    for line in ["config", "config --json"] {
        let ran = place.run_with(line, &variables).code(0).out_has("\"***\"");
        assert!(!ran.out().contains("geheim"), "{ran}");
    }
    let both = [variables[0], ("USERDATA_STORE__MYSQL__PASSWORD", "geheim")];
    let ran = place.run_with("config", &both).code(2).err_has("are both set: keep one of them");
    assert!(!ran.err().contains("geheim"), "{ran}");
}

#[test]
fn config_as_json_gives_value_and_origin_of_each_key() {
    let place = Place::new();
    place.file("Config.toml", "worker.slots = 3\n");
    let ran = place.run("config --json").code(0);
    let shown: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
    let expected = serde_json::json!({"value": 3, "origin": "./Config.toml", "secret": false});
    assert_eq!(shown["worker.slots"], expected, "{ran}");
}

#[test]
fn kafka_with_tls_is_refused_by_a_build_without_it() {
    let place = Place::new();
    place.file("Config.toml", "[queue.kafka.properties]\nsecurity.protocol = \"sasl_ssl\"\n");
    if cfg!(feature = "kafka-tls") {
        place.run("config").code(0);
    } else {
        place.run("config").code(2).err_has(
            "error: queue.kafka.properties.security.protocol in ./Config.toml: TLS for Kafka is not in this build",
        );
    }
}

#[test]
fn spark_is_refused_by_a_build_without_it() {
    let place = Place::new();
    place.file("Config.toml", "[spark]\nremote = \"sc://spark:15002\"\n");
    if cfg!(feature = "spark") {
        place.run("config").code(0);
        for (remote, why) in [
            ("http://spark", "it must be the address of a Spark Connect server, such as sc://spark:15002"),
            ("sc://:15002", "it must be the address of a Spark Connect server, such as sc://spark:15002"),
            ("sc://spark:15002/;token=geheim", "it must not hold the token, which would be shown"),
        ] {
            place.file("Config.toml", &format!("[spark]\nremote = \"{remote}\"\n"));
            place.run("config").code(2).err_has(&format!("error: spark.remote in ./Config.toml: {why}"));
        }
    } else {
        place
            .run("config")
            .code(2)
            .err_has("error: spark.remote in ./Config.toml: this userdata was built without Spark");
    }
}

#[test]
fn a_row_flag_that_cannot_be_is_a_usage_error() {
    let place = Place::new();
    place.run("import --no-such-flag x").code(2).err_has("error: unexpected argument '--no-such-flag'");
    place.run("import").code(2).err_has("error: the following required arguments were not provided");
}

#[test]
fn an_unreadable_log_filter_is_refused() {
    Place::new().run_with("status", &[("RUST_LOG", "a=b=c")]).code(2).err_has("error: variable RUST_LOG");
}
