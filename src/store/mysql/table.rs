//! The user table as it must be for a load to keep its promises, and how one that is not can be made so. The id's
//! collation compares bytes and pads nothing; changing to it can only keep ids apart that were one before, so it
//! never collides.

use super::MySql;
use crate::{
    error::{Error, Result, Service},
    store::session::{Row, Value},
};

/// Of MySQL and of MariaDB; newer MariaDB takes the first as another name for the second.
pub const ID_COLLATIONS: [&str; 2] = ["utf8mb4_0900_bin", "utf8mb4_nopad_bin"];

/// Each with the parameters database and table. Of a constraint: its kind, its name, the number of its columns, and of
/// those of them that our rows leave null or for the server to number.
pub const TABLE: &str = "SELECT ENGINE, ROW_FORMAT, TABLE_TYPE FROM information_schema.TABLES \
                         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
pub const COLUMNS: &str = "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_KEY, \
                           IS_NULLABLE, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS \
                           WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
pub const CONSTRAINTS: &str = "SELECT k.CONSTRAINT_TYPE, k.CONSTRAINT_NAME, \
                               (SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE c \
                                WHERE c.TABLE_SCHEMA = k.TABLE_SCHEMA AND c.TABLE_NAME = k.TABLE_NAME \
                                AND c.CONSTRAINT_NAME = k.CONSTRAINT_NAME), \
                               (SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE c \
                                JOIN information_schema.COLUMNS l USING (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME) \
                                WHERE c.TABLE_SCHEMA = k.TABLE_SCHEMA AND c.TABLE_NAME = k.TABLE_NAME \
                                AND c.CONSTRAINT_NAME = k.CONSTRAINT_NAME \
                                AND l.COLUMN_NAME NOT IN ('id', 'name', 'time_of_start') \
                                AND (l.EXTRA = 'auto_increment' OR l.EXTRA = '' AND l.IS_NULLABLE = 'YES' \
                                     AND COALESCE(l.COLUMN_DEFAULT, 'NULL') = 'NULL')) \
                               FROM information_schema.TABLE_CONSTRAINTS k \
                               WHERE k.TABLE_SCHEMA = ? AND k.TABLE_NAME = ?";

/// Something about the table that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// "its engine is MyISAM, not InnoDB"
    pub what: String,
    /// What ALTER TABLE does about it; `None`: only a person can decide.
    pub change: Option<String>,
}

fn mendable(what: String, change: String) -> Difference {
    Difference { what, change: Some(change) }
}

fn odd(what: String) -> Difference {
    Difference { what, change: None }
}

/// See `Store::check_table`.
pub async fn check(database: &MySql) -> Result<()> {
    let server = &database.server;
    let key = [Value::Text(server.database.clone()), Value::Text(server.table_name.clone())];
    let read = async |sql: &str| super::session::received(database.rows(sql, &key).await?);
    let found = Found { table: read(TABLE).await?, columns: read(COLUMNS).await?, keys: read(CONSTRAINTS).await? };
    let unfit = |what: String| {
        let doing = format!("looking at table {} on {}: {what}", server.table_name, server.place);
        Error { code: "table_unfit", ..Error::unavailable(Service::Store, doing) }
    };
    if !found.exists() {
        return Err(unfit(format!("there is none in database {}", server.database)).next("run: userdata db init"));
    }
    let differences = found.differences(None);
    if differences.is_empty() {
        return Ok(());
    }
    let next = if differences.iter().all(|difference| difference.change.is_some()) {
        "run: userdata db init, which says what it would change, then: userdata db init --migrate"
    } else {
        "only a person can change that; or name another table in [store.mysql] table, which userdata db init then makes"
    };
    Err(unfit(sentence(&differences)).next(next))
}

pub fn sentence(differences: &[Difference]) -> String {
    let all: Vec<&str> = differences.iter().map(|difference| difference.what.as_str()).collect();
    all.join("; ")
}

/// The rows of the three queries.
pub struct Found {
    pub table: Vec<Row>,
    pub columns: Vec<Row>,
    pub keys: Vec<Row>,
}

impl Found {
    pub fn exists(&self) -> bool {
        !self.table.is_empty()
    }

    /// What differs, with the changes that make the id's collation `collation` (`None`: either will do).
    pub fn differences(&self, collation: Option<&str>) -> Vec<Difference> {
        let mut all = Vec::new();
        if let Some(table) = self.table.first() {
            self.table_differences(table, &mut all);
        }
        self.id_differences(collation, &mut all);
        for name in ["name", "time_of_start"] {
            self.text_differences(name, &mut all);
        }
        self.key_differences(&mut all);
        self.other_columns(&mut all);
        all
    }

    fn column(&self, name: &str) -> Option<&Row> {
        self.columns.iter().find(|column| text(column, 0).eq_ignore_ascii_case(name))
    }

    fn table_differences(&self, table: &Row, all: &mut Vec<Difference>) {
        let (engine, format, kind) = (text(table, 0), text(table, 1), text(table, 2));
        if kind != "BASE TABLE" {
            return all.push(odd(format!("it is a {kind}, not a table")));
        }
        if engine != "InnoDB" {
            all.push(mendable(format!("its engine is {engine}, not InnoDB"), "ENGINE = InnoDB".into()));
        }
        // The others cannot hold a key of 255 characters in four bytes.
        if matches!(format, "Compact" | "Redundant" | "Fixed" | "Page") {
            let what = format!("its row format is {format}, not Dynamic");
            all.push(mendable(what, "ROW_FORMAT = DYNAMIC".into()));
        }
    }

    fn id_differences(&self, wanted: Option<&str>, all: &mut Vec<Difference>) {
        let Some(id) = self.column("id") else { return all.push(odd("it has no column id".into())) };
        let (kind, collation) = (text(id, 1), text(id, 3));
        let fits = kind == "varchar(255)" && ID_COLLATIONS.contains(&collation) && text(id, 5) == "NO";
        if !fits {
            let wanted = wanted.unwrap_or(ID_COLLATIONS[0]);
            let is = described(id);
            all.push(mendable(
                format!("column id is {is}, not varchar(255) {wanted} not null"),
                format!("MODIFY id varchar(255) CHARACTER SET utf8mb4 COLLATE {wanted} NOT NULL"),
            ));
        }
    }

    fn text_differences(&self, name: &str, all: &mut Vec<Difference>) {
        let Some(column) = self.column(name) else { return all.push(odd(format!("it has no column {name}"))) };
        if text(column, 1) != "varchar(255)" || text(column, 2) != "utf8mb4" {
            let null = if text(column, 5) == "NO" { "NOT NULL" } else { "NULL" };
            all.push(mendable(
                format!("column {name} is {}, not varchar(255) utf8mb4", described(column)),
                format!("MODIFY {name} varchar(255) CHARACTER SET utf8mb4 {null}"),
            ));
        }
    }

    /// Any other rule of the table's own would turn rows away that then count as duplicates, but for those of which a
    /// column is left null or numbered.
    fn key_differences(&self, all: &mut Vec<Difference>) {
        let primary = self.keys.iter().find(|key| text(key, 0) == "PRIMARY KEY");
        let on_id = self.column("id").is_some_and(|id| text(id, 4) == "PRI");
        match primary {
            None => all.push(mendable("it has no primary key".into(), "ADD PRIMARY KEY (id)".into())),
            Some(key) if on_id && key.get(2) == Some(&Value::Int(1)) => {}
            Some(_) => all.push(odd("its primary key is not id alone".into())),
        }
        let is_met = |key: &Row| matches!(key.get(3), Some(Value::Int(1..)));
        for key in self.keys.iter().filter(|key| text(key, 0) != "PRIMARY KEY" && !is_met(key)) {
            all.push(odd(format!("it has a {} rule of its own, {}", text(key, 0), text(key, 1))));
        }
    }

    fn other_columns(&self, all: &mut Vec<Difference>) {
        let ours = ["id", "name", "time_of_start"];
        for column in &self.columns {
            let name = text(column, 0);
            let filled = text(column, 5) == "YES" || column.get(6) != Some(&Value::Null) || !text(column, 7).is_empty();
            if !ours.iter().any(|own| own.eq_ignore_ascii_case(name)) && !filled {
                all.push(odd(format!("column {name} has neither a default nor may it be null")));
            }
        }
    }
}

fn described(column: &Row) -> String {
    let null = if text(column, 5) == "NO" { "not null" } else { "null" };
    match text(column, 3) {
        "" => format!("{} {null}", text(column, 1)),
        collation => format!("{} {collation} {null}", text(column, 1)),
    }
}

fn text(row: &Row, index: usize) -> &str {
    match row.get(index) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&str]) -> Row {
        let value = |text: &&str| if *text == "-" { Value::Null } else { Value::Text((*text).into()) };
        values.iter().map(value).collect()
    }

    fn column(name: &str, kind: &str, collation: &str, key: &str, null: &str) -> Row {
        let charset = collation.split('_').next().unwrap_or_default();
        row(&[name, kind, charset, collation, key, null, "-", ""])
    }

    fn original(id_collation: &str) -> Found {
        let mut primary = row(&["PRIMARY KEY", "PRIMARY"]);
        primary.push(Value::Int(1));
        Found {
            table: vec![row(&["InnoDB", "Dynamic", "BASE TABLE"])],
            columns: vec![
                column("id", "varchar(255)", id_collation, "PRI", "NO"),
                column("name", "varchar(255)", "utf8mb4_0900_ai_ci", "", "YES"),
                column("time_of_start", "varchar(255)", "utf8mb4_general_ci", "", "YES"),
            ],
            keys: vec![primary],
        }
    }

    #[test]
    fn binary_ids_without_padding_are_as_they_must_be_on_both_servers() {
        assert_eq!(original("utf8mb4_0900_bin").differences(None), []);
        assert_eq!(original("utf8mb4_nopad_bin").differences(None), []);
    }

    #[test]
    fn ids_that_a_collation_would_merge_are_told_and_can_be_mended() {
        for collation in ["utf8mb4_0900_ai_ci", "utf8mb4_bin", "latin1_swedish_ci"] {
            let found = original(collation).differences(Some("utf8mb4_nopad_bin"));
            let wanted =
                format!("column id is varchar(255) {collation} not null, not varchar(255) utf8mb4_nopad_bin not null");
            assert_eq!(sentence(&found), wanted);
            let change = "MODIFY id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL";
            assert_eq!(found[0].change.as_deref(), Some(change));
        }
    }

    #[test]
    fn an_engine_without_transactions_is_told_and_can_be_mended() {
        let mut found = original("utf8mb4_0900_bin");
        found.table = vec![row(&["MyISAM", "Fixed", "BASE TABLE"])];
        let changes: Vec<_> = found.differences(None).into_iter().filter_map(|one| one.change).collect();
        assert_eq!(changes, ["ENGINE = InnoDB", "ROW_FORMAT = DYNAMIC"]);
    }

    #[test]
    fn a_table_of_something_else_is_not_touched() {
        let mut found = original("utf8mb4_0900_bin");
        found.columns.remove(1);
        found.columns.push(column("tenant", "int", "", "", "NO"));
        found.keys.push(row(&["UNIQUE", "by_name"]));
        let all = found.differences(None);
        assert!(all.iter().all(|one| one.change.is_none()), "{all:?}");
        assert_eq!(
            sentence(&all),
            "it has no column name; it has a UNIQUE rule of its own, by_name; \
             column tenant has neither a default nor may it be null"
        );
    }
}
