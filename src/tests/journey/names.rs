//! Ids that databases like to take for the same, and names that want to be SQL, markup or a terminal's orders.

use crate::{
    generator::Table,
    world::{Database, Server, World},
};

/// Ids that differ in case, accent, normal form, width or a blank at an end only.
const IDS: [&str; 15] = ["a", "A", "á", "Á", "a\u{301}", "ａ", "a ", " a", "a\t", "ss", "ß", "i", "İ", "ı", "I"];

/// Ids of signs that files and statements give a meaning to.
const SIGNS: [&str; 11] = ["\\", "\\N", "\\\\", "a\tb", "a\nb", "a\r\nb", "a\rb", "\"", "'", "\\'", "👩‍👩‍👧‍👦"];

/// Names whose lower case has rules of its own, or which mean NULL to `LOAD DATA`: as sent, as stored.
const CASES: [(&str, &str); 4] =
    [("\\N", "\\n"), ("İSTANBUL", "i\u{307}stanbul"), ("ΣΊΣΥΦΟΣ ΣΑΣ", "σίσυφος σας"), ("STRAẞE ǅ", "straße ǆ")];

const NAMES: [&str; 12] = [
    "'; DROP TABLE userinfo; --",
    "Robert\\'); SELECT 1;",
    "back\\slash\\n and \\0 and \\",
    "<script>alert(1)</script>",
    "=HYPERLINK(\"http://x\",\"y\")",
    "\u{1b}[2J\u{7}",
    "tab\there, \"quotes\" and\nline\r\nbreaks",
    "👩‍👩‍👧‍👦 𝒜𝒷 \u{10ffff}",
    "\u{202e}right to left\u{200b}",
    "%s %d {} ${HOME} `id`",
    "\0nul in a name",
    "NULL",
];

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_look_alike_stay_apart_and_nasty_names_come_out_equal_embedded() {
    let world = World::embedded();
    let server = world.serve().await;
    nasty(&world, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_look_alike_stay_apart_and_nasty_names_come_out_equal_on_mysql() {
    on_server(Database::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_look_alike_stay_apart_and_nasty_names_come_out_equal_on_mariadb() {
    on_server(Database::MariaDb).await;
}

async fn on_server(database: Database) {
    let world = World::set_up(database).await;
    let server = world.serve().await;
    let _worker = world.worker("one", &[]).await;
    nasty(&world, &server).await;
}

async fn nasty(world: &World, server: &Server) {
    let mut expected = Table::new();
    let mut text = String::from("id,name,time_of_start\n");
    let long = ["𝒜".repeat(255), "x".repeat(255)];
    let ids = IDS.iter().chain(&SIGNS).map(ToString::to_string);
    let ids = ids.chain(NAMES.map(|name| format!("n{}", name.replace('\0', "")))).chain(long);
    for (number, id) in ids.enumerate() {
        let name = NAMES[number % NAMES.len()];
        let quoted = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
        text += &format!("{},{},2017-03-07T00:30:{:02}Z\n", quoted(&id), quoted(name), number);
        expected.insert(id, (name.to_lowercase(), format!("2017-03-07T00:30:{number:02}.000Z")));
    }
    for (id, (name, stored)) in ["c0", "c1", "c2", "c3"].into_iter().zip(CASES) {
        text += &format!("{id},{name},2017-03-07T00:30:54Z\n");
        expected.insert(id.into(), (stored.into(), "2017-03-07T00:30:54.000Z".into()));
    }
    let rows = expected.len() as u64;
    for (existing, inserted, present) in [("keep", rows, 0), ("keep", 0, rows), ("replace", 0, rows)] {
        let id = server.put("nasty \u{1b}[31m'\".csv", text.as_bytes(), &[("existing", existing)]).await;
        let counts = server.done(&id).await;
        assert_eq!((counts.read, counts.inserted, counts.already_present), (rows, inserted, present), "{counts:?}");
        assert_eq!(world.table().await, expected);
    }
}
