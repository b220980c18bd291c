//! The flags of `[rows]`, which several commands have.

use clap::Args;

use crate::{
    error::{Error, Result},
    rows::RowOptions,
};

/// How rows are read, for this upload alone. Kept as text: every value is read by `RowOptions::set`, as a query
/// parameter or form field is.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "How rows are read (instead of [rows])")]
pub struct RowFlags {
    /// Zone of times without an offset, such as Europe/Berlin
    #[arg(long)]
    pub zone: Option<String>,
    /// Encoding, such as windows-1252
    #[arg(long, value_name = "LABEL")]
    pub encoding: Option<String>,
    /// Sign between fields: , ; \t | or auto
    #[arg(long, value_name = "SIGN")]
    pub delimiter: Option<String>,
    /// Whether the first line names the columns
    #[arg(long, value_name = "true|false")]
    pub header: Option<String>,
    /// Which column holds what: id=COLUMN,name=COLUMN,time_of_start=COLUMN
    #[arg(long, value_name = "FIELD=COLUMN,…")]
    pub columns: Option<String>,
    /// Format of times to try first, strftime; may be repeated
    #[arg(long, value_name = "FORMAT")]
    pub formats: Vec<String>,
    /// Take blanks off the ends of ids and names
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub trim: Option<String>,
    /// Ids that are there already: keep or replace
    #[arg(long, value_name = "keep|replace")]
    pub existing: Option<String>,
    /// Longest record, such as 1MiB
    #[arg(long, value_name = "SIZE")]
    pub max_record_bytes: Option<String>,
    /// Rejects that the file may have, such as 100 or 1%
    #[arg(long, value_name = "N|N%")]
    pub max_rejects: Option<String>,
}

impl RowFlags {
    /// The given ones as names and values of `RowOptions`.
    fn given(&self) -> Vec<(&'static str, Vec<&str>)> {
        let one = Option::as_slice;
        let flags = [
            ("zone", one(&self.zone)),
            ("encoding", one(&self.encoding)),
            ("delimiter", one(&self.delimiter)),
            ("header", one(&self.header)),
            ("columns", one(&self.columns)),
            ("formats", &self.formats),
            ("trim", one(&self.trim)),
            ("existing", one(&self.existing)),
            ("max_record_bytes", one(&self.max_record_bytes)),
            ("max_rejects", one(&self.max_rejects)),
        ];
        let given = flags.into_iter().filter(|(_, values)| !values.is_empty());
        given.map(|(name, values)| (name, values.iter().map(String::as_str).collect())).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.given().is_empty()
    }

    /// Changes what was given, and refuses what contradicts itself.
    pub fn apply(&self, options: &mut RowOptions) -> Result<()> {
        let refused = |name: &str, why| {
            let flag = name.replace('_', "-");
            Error::fatal("usage", format!("--{flag}: {why}")).next("see: userdata import --help")
        };
        for (name, values) in self.given() {
            options.assign(name, &values).map_err(|why| refused(name, why.to_string()))?;
        }
        options.check().map_err(|why| {
            let last =
                if self.columns.is_some() { "columns" } else { self.given().first().map_or("rows", |flag| flag.0) };
            refused(last, why.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::{Cli, Command};

    fn row_flags(line: &str) -> RowFlags {
        let Command::Import(import) = Cli::parse_from(line.split(' ')).command else { panic!("{line}") };
        import.rows
    }

    #[test]
    fn every_row_option_has_a_flag_of_its_name() {
        let mut command = Cli::command();
        let import = command.find_subcommand_mut("import").unwrap();
        for name in RowOptions::NAMES {
            let flag = name.replace('_', "-");
            assert!(import.get_arguments().any(|flags| flags.get_long() == Some(&flag)), "{name}");
        }
    }

    #[test]
    fn row_flags_change_what_they_name_and_nothing_else() {
        let flags =
            row_flags("userdata import --zone Europe/Berlin --formats %Y/%m/%d --formats %d,%m,%Y --trim x.csv");
        let mut options = RowOptions { delimiter: Some(";".parse().unwrap()), ..RowOptions::default() };
        flags.apply(&mut options).unwrap();
        let expected = RowOptions {
            zone: chrono_tz::Europe::Berlin,
            formats: vec!["%Y/%m/%d".into(), "%d,%m,%Y".into()],
            trim: true,
            delimiter: Some(";".parse().unwrap()),
            ..RowOptions::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn flags_that_belong_together_are_checked_together() {
        let mut options = RowOptions { header: false, ..RowOptions::default() };
        row_flags("userdata import --columns id=Kunde --header true x").apply(&mut options).unwrap();
        assert_eq!(options.columns.id, "Kunde");
        let refusal = row_flags("userdata import --header false x").apply(&mut options).unwrap_err();
        assert_eq!((refusal.code, refusal.to_string().starts_with("--header: column \"Kunde\"")), ("usage", true));
    }
}
