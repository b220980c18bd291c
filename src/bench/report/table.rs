//! The tables as a person reads them.

use super::{CaseReport, Report};

const MIB: u64 = 1 << 20;

/// What the lines hold, said below the table.
const INCLUDED: [&str; 4] = [
    "userdata: from the start of the process to its end: copy to the archive with fsync, SHA-256, cleaning, counts, \
     rejects, checkpoints.",
    "LOAD DATA, raw file: IGNORE (with `replace` REPLACE) in file order; nothing is cleaned. Measured once.",
    "sort + split + LOAD DATA: GNU sort by id, each id once, with 256 MB and all cores, split by id, one client each \
     part at once; nothing is cleaned. The faster number of clients counts.",
    "Every way begins with the same table. CPU: server = its process, own = all processes started. Peak memory: \
     of userdata.",
];

pub fn render(report: &Report, markdown: bool) -> String {
    let mut text = head(report);
    let mut rows = vec![
        ["case", "way", "wall s", "rows/s", "server CPU s", "own CPU s", "peak MiB", "userdata faster"]
            .map(String::from),
    ];
    for case in &report.cases {
        rows.extend(lines(case));
    }
    text += &table(&rows, 2, markdown);
    text.push('\n');
    for line in INCLUDED {
        text += &format!("{}{line}\n", if markdown { "- " } else { "" });
    }
    let mut rows = vec![["case", "figure", "reached", "wanted", ""].map(String::from)];
    for case in &report.cases {
        for target in &case.targets {
            let sign = if target.at_least { "≥" } else { "≤" };
            rows.push([
                case.name.clone(),
                target.what.clone(),
                figure(target.value),
                format!("{sign} {}", target.bound),
                if target.met { "met" } else { "missed" }.into(),
            ]);
        }
    }
    text.push('\n');
    text += &table(&rows, 2, markdown);
    for failure in report.failures() {
        text += &format!("\nfailed: {failure}\n");
    }
    text
}

fn head(report: &Report) -> String {
    let machine = &report.machine;
    let mut parts = vec![
        format!("{} rows a file", report.rows),
        format!("{} cores", machine.cores),
        format!("userdata {}", machine.userdata),
    ];
    parts.extend(machine.servers.iter().cloned());
    if report.rounds > 1 {
        parts.push(format!("median of {} rounds", report.rounds));
    }
    parts.extend(report.settings.iter().map(|(name, value)| format!("{name}={value}")));
    parts.join(", ") + "\n\n"
}

fn lines(case: &CaseReport) -> Vec<[String; 8]> {
    let own = case.userdata();
    let mut lines = Vec::new();
    for way in case.ways.iter().filter(|way| !way.rounds.is_empty()) {
        let usage = way.median();
        let ratio = match own {
            Some(own) if own.way != way.way && own.rows == way.rows => {
                format!("{:.2} ×", usage.wall_s / own.median().wall_s)
            }
            _ => String::new(),
        };
        let title = if lines.is_empty() { format!("{}: {}", case.name, case.title) } else { String::new() };
        let optional = |value: Option<String>| value.unwrap_or_default();
        lines.push([
            title,
            way.name.clone(),
            figure(usage.wall_s),
            format!("{:.0}", way.rows as f64 / usage.wall_s),
            optional(usage.server_cpu_s.map(figure)),
            figure(usage.own_cpu_s),
            optional(usage.peak_bytes.map(|bytes| (bytes / MIB).to_string())),
            ratio,
        ]);
    }
    if lines.is_empty() {
        let mut line = [const { String::new() }; 8];
        line[0] = format!("{}: {}", case.name, case.title);
        line[1] = "failed".into();
        lines.push(line);
    }
    lines
}

/// Three digits, or all before the point.
pub fn figure(value: f64) -> String {
    match value.abs() {
        high if high >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The first line names the columns; from the column `numbers` on they stand to the right.
pub fn table<const N: usize>(rows: &[[String; N]], numbers: usize, markdown: bool) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(at, cell)| padded(cell, widths[at], at >= numbers)).collect();
        text += &if markdown {
            format!("| {} |\n", cells.join(" | "))
        } else {
            format!("{}\n", cells.join("  ").trim_end())
        };
        if number == 0 && markdown {
            let lines = widths.iter().enumerate();
            let lines: Vec<String> = lines.map(|(at, width)| line(*width, at >= numbers)).collect();
            text += &format!("|{}|\n", lines.join("|"));
        }
    }
    text
}

fn padded(cell: &str, width: usize, right: bool) -> String {
    if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
}

fn line(width: usize, right: bool) -> String {
    format!("{}{}", "-".repeat(width + 1), if right { ":" } else { "-" })
}
