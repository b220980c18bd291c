//! What the README names exists and does what it says: each command line is run by a shell, each route is asked, each
//! setting is set, all as they stand there.

use clap::Parser;
use userdata::cli::{Cli, Command as Subcommand};

mod commands;
mod named;
mod routes;
mod settings;

use named::named;

/// As a shell splits it, up to where its output goes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for sign in line.chars() {
        match (quote, sign) {
            (None, '\'' | '"') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == sign => quote = None,
            (None, '>' | '|') => break,
            (None, ' ') => words.extend(word.take()),
            (_, sign) => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    words
}

/// A line of `userdata …` as the executable understands it.
fn parsed(line: &str) -> Subcommand {
    let parsed = Cli::try_parse_from(words(line));
    parsed.unwrap_or_else(|error| panic!("the README's `{line}` is not understood: {error}")).command
}

#[test]
fn every_path_in_the_readme_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = named();
    assert!(named.paths.len() > 20, "{:?}", named.paths);
    for path in named.paths {
        assert!(root.join(&path).exists(), "the README names {path}");
    }
}
