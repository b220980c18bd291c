//! What moving files cost, several ways beside each other: the table and its JSON.

use serde::Serialize;

use crate::report::{Machine, Target, figure, table};

#[derive(Debug, Serialize)]
pub struct Transfers {
    pub machine: Machine,
    pub rounds: u32,
    pub lines: Vec<Line>,
    pub targets: Vec<(String, Target)>,
    /// Said below the table.
    pub notes: Vec<&'static str>,
}

/// One way with one kind of files.
#[derive(Debug, Serialize)]
pub struct Line {
    pub files: String,
    pub bytes: u64,
    pub way: String,
    /// What is on disk when the sender has its answer.
    pub durable: &'static str,
    pub wall_s: Vec<f64>,
}

impl Line {
    pub fn median_s(&self) -> f64 {
        let mut sorted = self.wall_s.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Transfers {
    pub fn tables(&self, markdown: bool) -> String {
        let machine = &self.machine;
        let servers = machine.servers.join(", ");
        let head = format!(
            "{} cores, userdata {}, {servers}, median of {} rounds\n\n",
            machine.cores, machine.userdata, self.rounds
        );
        let mut rows =
            vec![["files", "way", "on disk when answered", "wall s", "MB/s", "userdata faster"].map(String::from)];
        let mut last = "";
        for line in &self.lines {
            let own = self.lines.iter().find(|other| other.files == line.files);
            let ratio = own.filter(|own| own.way != line.way).map(|own| line.median_s() / own.median_s());
            rows.push([
                if line.files == last { String::new() } else { line.files.clone() },
                line.way.clone(),
                line.durable.into(),
                format!("{:.3}", line.median_s()),
                figure(line.bytes as f64 / 1e6 / line.median_s()),
                ratio.map(|ratio| format!("{ratio:.2} ×")).unwrap_or_default(),
            ]);
            last = &line.files;
        }
        let mut text = head + &table(&rows, 3, markdown) + "\n";
        for note in &self.notes {
            text += &format!("{}{note}\n", if markdown { "- " } else { "" });
        }
        let mut rows = vec![["files", "figure", "reached", "wanted", ""].map(String::from)];
        for (files, target) in &self.targets {
            let sign = if target.at_least { "≥" } else { "≤" };
            rows.push([
                files.clone(),
                target.what.clone(),
                format!("{:.2}", target.value),
                format!("{sign} {}", target.bound),
                if target.met { "met" } else { "missed" }.into(),
            ]);
        }
        text + "\n" + &table(&rows, 2, markdown)
    }
}
