//! The SQL files below `sql/`, embedded: the user table, and the ledger's numbered migrations. Each may be run again;
//! each leaves what processes of the version before it need.

/// The ledger's version that this program writes; it also works with the next one.
pub const VERSION: i64 = 1;

/// The SQL of one kind of database, with placeholders for what only the database knows: `{now}` (an expression: the
/// present time in epoch milliseconds), and on MySQL `{table}` (the user table's quoted name) and `{id_collation}`.
#[derive(Debug)]
pub struct Schema {
    pub users: &'static str,
    /// In order; the last one brings the ledger to `VERSION`.
    pub migrations: &'static [&'static str],
}

pub const SQLITE: Schema = Schema {
    users: include_str!("../../../sql/sqlite/users.sql"),
    migrations: &[include_str!("../../../sql/sqlite/0001_ledger.sql")],
};

pub const MYSQL: Schema = Schema {
    users: include_str!("../../../sql/mysql/users.sql"),
    migrations: &[include_str!("../../../sql/mysql/0001_ledger.sql")],
};

impl Schema {
    /// All files, users first, with each placeholder's value put in: `[("{now}", "…"), …]`.
    pub fn filled(&self, values: &[(&str, &str)]) -> Vec<String> {
        let files = std::iter::once(&self.users).chain(self.migrations);
        files
            .map(|file| values.iter().fold((*file).to_owned(), |sql, (name, value)| sql.replace(name, value)))
            .collect()
    }
}

/// The statements of a file: each ends with a `;` at the end of its line.
pub fn statements(file: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in file.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty()) {
        statement.push_str(line);
        if line.ends_with(';') {
            statements.push(std::mem::take(&mut statement));
        } else {
            statement.push('\n');
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_ends_in_whole_statements_that_may_be_run_again() {
        for file in [&SQLITE, &MYSQL].into_iter().flat_map(|schema| schema.filled(&[])) {
            let statements = statements(&file);
            assert!(file.trim_end().ends_with(';'));
            assert_eq!(statements.len(), file.lines().filter(|line| line.ends_with(';')).count());
            for statement in statements {
                let again = ["if not exists", "on conflict", "on duplicate key"];
                assert!(again.iter().any(|clause| statement.contains(clause)), "{statement}");
            }
        }
    }

    #[test]
    fn the_version_is_that_of_the_last_migration() {
        assert_eq!(SQLITE.migrations.len(), MYSQL.migrations.len());
        assert_eq!(i64::try_from(SQLITE.migrations.len()), Ok(VERSION));
    }
}
