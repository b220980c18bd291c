//! What the README names: commands, routes, settings, variables and paths, taken out of its code spans and blocks.

use std::collections::BTreeSet;

use clap::CommandFactory;
use userdata::cli::Cli;

const README: &str = include_str!("../../../../README.md");

/// Everything that a reader may try.
#[derive(Debug, Default)]
pub struct Named {
    /// Lines for a shell, in the README's order.
    pub commands: Vec<String>,
    /// `GET /uploads/{id}`
    pub routes: BTreeSet<String>,
    /// Keys as they stand there: `worker.paths`, or only `zone`.
    pub settings: BTreeSet<String>,
    pub variables: BTreeSet<String>,
    /// Keys of secrets, named as systemd credentials.
    pub credentials: BTreeSet<String>,
    /// Blocks and spans of TOML.
    pub toml: Vec<String>,
    /// Of this repository.
    pub paths: BTreeSet<String>,
}

/// Reads the README.
pub fn named() -> Named {
    let mut named = Named::default();
    let mut text = README.split("```");
    // Between two fences text and blocks alternate.
    while let Some(prose) = text.next() {
        for paragraph in prose.split("\n\n") {
            named.paragraph(&paragraph.replace('\n', " "));
        }
        if let Some(block) = text.next() {
            let (language, lines) = block.split_once('\n').expect("a block has lines");
            match language {
                "sh" => named.shell(lines),
                "toml" => named.toml.push(lines.to_owned()),
                "" => named.tree(lines),
                other => panic!("the README has a block of {other:?}, which this test cannot read"),
            }
        }
    }
    named.words(README);
    named
}

impl Named {
    fn paragraph(&mut self, text: &str) {
        let mut last: Option<String> = None;
        for span in text.split('`').skip(1).step_by(2) {
            if let Some(line) = command(span) {
                last = Some(line.clone());
                self.command(line);
            } else if span.starts_with("--") {
                self.flag(span, last.as_deref());
            } else if let Some(route) = route(span) {
                self.routes.insert(route);
            } else if span.starts_with('[') && span[1..].starts_with(|sign: char| sign == '[' || sign.is_lowercase()) {
                self.toml.push(span.replacen("] ", "]\n", 1));
            } else if is_key(span) && !span.starts_with("userdata.") {
                self.settings.insert(span.to_owned());
            } else if ["compose/", "src/", "sql/"].iter().any(|folder| span.starts_with(folder)) {
                self.path(span);
            }
        }
    }

    /// A flag alone belongs to the command that was named before it, or is one of cargo's.
    fn flag(&mut self, span: &str, command: Option<&str>) {
        if let Some(feature) = span.strip_prefix("--features ") {
            let manifest = include_str!("../../../../Cargo.toml");
            assert!(manifest.contains(&format!("\n{feature} = [")), "Cargo.toml has no feature {feature}");
            return;
        }
        let command = command.unwrap_or_else(|| panic!("README: {span} stands in a paragraph without a command"));
        self.command(format!("{command} {span}"));
    }

    fn shell(&mut self, block: &str) {
        for line in block.replace("\\\n", " ").lines() {
            let line = without_remark(line).trim();
            for part in line.split(" && ").flat_map(|part| part.split("$(")) {
                if let Some(line) = command(part) {
                    self.command(line);
                } else if part.starts_with("compose/") {
                    self.path(part);
                }
            }
        }
    }

    /// Where things are: paths up to two blanks, those behind the first without its folder or with.
    fn tree(&mut self, block: &str) {
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (paths, _) = line.split_once("  ").expect("what it is stands behind two blanks");
            for path in paths.split(' ') {
                self.path(&if path.contains("src/") || !paths.starts_with("src/") {
                    path.to_owned()
                } else {
                    format!("src/{path}")
                });
            }
        }
    }

    fn command(&mut self, line: String) {
        if !self.commands.contains(&line) {
            self.commands.push(line);
        }
    }

    fn path(&mut self, span: &str) {
        self.paths.insert(span.split(' ').next().expect("a word").to_owned());
    }

    /// What is known by its look alone, wherever it stands.
    fn words(&mut self, text: &str) {
        for word in text.split(|sign: char| !(sign.is_ascii_alphanumeric() || "_.-@".contains(sign))) {
            if word.starts_with("USERDATA_") {
                self.variables.insert(word.to_owned());
            } else if let Some(key) = word.strip_prefix("userdata.")
                && is_key(key)
            {
                self.credentials.insert(key.trim_end_matches('.').to_owned());
            }
        }
    }
}

/// A line that a reader may type, in the words of the executable.
fn command(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = text.strip_prefix("cargo run --release -- ").or_else(|| text.strip_prefix("as_role "));
    if let Some(rest) = plain.or_else(|| text.strip_prefix("userdata ")) {
        // Inside of a function.
        return (!rest.starts_with('"')).then(|| format!("userdata {rest}"));
    }
    if text.starts_with("curl ") {
        return Some(text.to_owned());
    }
    let mut of = Cli::command();
    for word in text.split(' ') {
        of = of.find_subcommand(word)?.clone();
    }
    if of.has_subcommands() {
        return None;
    }
    let needed = of.get_arguments().filter(|argument| argument.is_required_set());
    let needed = needed.map(|argument| format!(" {}", argument.get_id().as_str().to_uppercase()));
    Some(format!("userdata {text}{}", needed.collect::<String>()))
}

/// `POST /uploads`, or only a path that is none of this machine's.
fn route(span: &str) -> Option<String> {
    let (method, path) = span.split_once(' ').unwrap_or(("GET", span));
    let first = path.strip_prefix('/')?.split('/').next()?;
    let of_http = ["GET", "PUT", "POST", "PATCH", "HEAD", "DELETE", "OPTIONS"].contains(&method);
    let of_disk = !span.contains(' ') && !first.is_empty() && std::path::Path::new("/").join(first).exists();
    (of_http && !of_disk).then(|| format!("{method} {path}"))
}

/// Whether it looks like a key: `worker.paths`, `max_rejects`. A name with the ending of a file is none.
fn is_key(text: &str) -> bool {
    let letters = text.chars().all(|sign| sign.is_ascii_lowercase() || "._0123456789".contains(sign));
    let file = [".csv", ".toml", ".yaml", ".db", ".rs", ".gz", ".service", ".json"];
    letters && text.starts_with(|sign: char| sign.is_ascii_lowercase()) && !file.iter().any(|end| text.ends_with(end))
}

fn without_remark(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.split(" #").next().expect("a part") }
}
