//! User files of every kind, with what must become of each row: the tests' own account, made without the program's
//! code.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
};

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

const FIRST: [&str; 12] =
    ["Ada", "BOB", "Çelik", "DVOŘÁK", "Émile", "Γιώργος", "HÅKON", "İrem", "ŁUKASZ", "Мария", "ΣΊΣΥΦΟΣ", "Ümit"];
const LAST: [&str; 10] =
    ["Smith", "JONES", "Müller", "GARCÍA", "ИВАНОВ", "O'NEIL", "van der Berg", "田中", "Haddad", "STRAẞE"];

/// Id → (name, time of start): what the user table must hold.
pub type Table = BTreeMap<String, (String, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    Rfc3339,
    /// Offset, Z, without offset, epochs, RFC 2822, calendar digits.
    Mixed,
}

/// What kind of file.
#[derive(Debug, Clone)]
pub struct Spec {
    pub rows: u64,
    pub seed: u64,
    /// Share of rows that repeat an id of this file.
    pub duplicates: f64,
    pub bad: f64,
    /// Share of names that need quotes.
    pub quoted: f64,
    /// Share of ids that come from the file of another seed, in its order.
    pub shared: Option<(u64, f64)>,
    pub times: Times,
    pub crlf: bool,
    pub bom: bool,
    /// As the original system got its files: its header, its times, ragged observations.
    pub original: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            rows: 2_000,
            seed: 1,
            duplicates: 0.05,
            bad: 0.01,
            quoted: 0.05,
            shared: None,
            times: Times::Mixed,
            crlf: false,
            bom: false,
            original: false,
        }
    }
}

/// A file and its good rows, in order.
#[derive(Debug, Clone)]
pub struct File {
    pub bytes: Vec<u8>,
    pub rows: u64,
    pub bad: u64,
    good: Vec<[String; 3]>,
}

/// What the program must say of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Counts {
    pub read: u64,
    pub inserted: u64,
    pub replaced: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub repeated_in_file: u64,
    pub already_present: u64,
    pub conflicting: u64,
}

pub fn generate(spec: &Spec) -> File {
    let mut random = StdRng::seed_from_u64(spec.seed);
    let end = if spec.crlf { "\r\n" } else { "\n" };
    let mut bytes = if spec.bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let header = if spec.original { "Id,name,time_of_start,Obs.,," } else { "id,name,time_of_start" };
    bytes.extend_from_slice(format!("{header}{end}").as_bytes());
    let (mut good, mut bad) = (Vec::new(), 0);
    let (mut fresh, mut borrowed) = (0, 0);
    for _ in 0..spec.rows {
        let (name, stored_name) = name(&mut random, if spec.original { 0.0 } else { spec.quoted });
        let (time, stored_time) = time(&mut random, spec);
        let tail = if spec.original { *[",", ",,ok", ",late,,", ""].choose(&mut random).expect("some") } else { "" };
        if random.random_bool(spec.bad) {
            bad += 1;
            let id = id(spec.seed, 1 << 40 | bad);
            bytes.extend(bad_row(&mut random, &id, &name, &time));
            bytes.extend_from_slice(end.as_bytes());
            continue;
        }
        let id = if !good.is_empty() && random.random_bool(spec.duplicates) {
            let earlier: &[String; 3] = good.choose(&mut random).expect("some");
            earlier[0].clone()
        } else if let Some((seed, share)) = spec.shared
            && random.random_bool(share)
        {
            borrowed += 1;
            id(seed, borrowed)
        } else {
            fresh += 1;
            id(spec.seed, fresh)
        };
        bytes.extend_from_slice(format!("{id},{name},{time}{tail}{end}").as_bytes());
        good.push([id, stored_name, stored_time]);
    }
    File { bytes, rows: spec.rows, bad, good }
}

impl File {
    /// Puts the file into a table as `existing = "keep"` does, and says what that must count.
    pub fn keep(&self, table: &mut Table) -> Counts {
        let (mut inserted, mut present) = (0, 0);
        let mut seen = HashSet::new();
        for [id, name, time] in &self.good {
            if !seen.insert(id) {
                continue;
            }
            if table.contains_key(id) {
                present += 1;
            } else {
                inserted += 1;
                table.insert(id.clone(), (name.clone(), time.clone()));
            }
        }
        self.counts(seen.len() as u64, inserted, 0, present)
    }

    /// The same for `existing = "replace"`.
    pub fn replace(&self, table: &mut Table) -> Counts {
        let last: HashMap<_, _> = self.good.iter().map(|[id, name, time]| (id, (name.clone(), time.clone()))).collect();
        let (mut inserted, mut replaced, mut equal) = (0, 0, 0);
        for (id, user) in &last {
            match table.insert((*id).clone(), user.clone()) {
                None => inserted += 1,
                Some(before) if before == *user => equal += 1,
                Some(_) => replaced += 1,
            }
        }
        self.counts(last.len() as u64, inserted, replaced, equal)
    }

    fn counts(&self, distinct: u64, inserted: u64, replaced: u64, already_present: u64) -> Counts {
        let repeated_in_file = self.good.len() as u64 - distinct;
        let mut differing: HashMap<&str, HashSet<(&str, &str)>> = HashMap::new();
        for [id, name, time] in &self.good {
            differing.entry(id).or_default().insert((name, time));
        }
        Counts {
            read: self.rows,
            inserted,
            replaced,
            duplicates: repeated_in_file + already_present,
            rejected: self.bad,
            repeated_in_file,
            already_present,
            conflicting: differing.values().filter(|users| users.len() > 1).count() as u64,
        }
    }
}

/// A UUID-like id; the same for the same seed and number.
fn id(seed: u64, number: u64) -> String {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    uuid::Builder::from_random_bytes(random.random()).into_uuid().to_string()
}

/// A name as it stands in the file, and as it must be stored.
fn name(random: &mut StdRng, quoted: f64) -> (String, String) {
    let plain = format!("{} {}", FIRST.choose(random).expect("some"), LAST.choose(random).expect("some"));
    if !random.random_bool(quoted) {
        return (plain.clone(), plain.to_lowercase());
    }
    let value = format!("{plain}{}", [", Jr.", " \"Bo\"", "\n2nd LINE"].choose(random).expect("some"));
    (format!("\"{}\"", value.replace('"', "\"\"")), value.to_lowercase())
}

fn time(random: &mut StdRng, spec: &Spec) -> (String, String) {
    let kind = match spec.times {
        _ if spec.original => 9,
        Times::Rfc3339 => 0,
        Times::Mixed => random.random_range(0..7),
    };
    // From September 2001 on, so that epochs in milliseconds have thirteen digits.
    let millis = if matches!(kind, 1 | 4) { random.random_range(0..1000) } else { 0 };
    let at = random.random_range(1_000_000_000..1_893_456_000_i64) * 1000 + millis;
    let at = DateTime::<Utc>::from_timestamp_millis(at).expect("a time");
    let text = match kind {
        0 => {
            let hours: i32 = random.random_range(-11..=13);
            let zone = chrono::FixedOffset::east_opt(hours * 3600 + 1800).expect("an offset");
            at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, true)
        }
        1 => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        2 => at.format("%Y-%m-%d %H:%M:%S").to_string(),
        3 => at.timestamp().to_string(),
        4 => at.timestamp_millis().to_string(),
        5 => format!("\"{}\"", at.to_rfc2822()),
        6 => at.format("%Y%m%d%H%M%S").to_string(),
        _ => {
            let mut text = String::new();
            write!(text, "{:02}-{:02}-{:02} ", at.day(), at.month(), at.year() % 100).expect("memory");
            write!(text, "{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()).expect("memory");
            text
        }
    };
    (text, at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn bad_row(random: &mut StdRng, id: &str, name: &str, time: &str) -> Vec<u8> {
    match random.random_range(0..6) {
        0 => format!("{id},{name},not-a-time").into_bytes(),
        1 => format!(",{name},{time}").into_bytes(),
        2 => format!("{id},{name}").into_bytes(),
        3 => format!("{},{name},{time}", "x".repeat(300)).into_bytes(),
        4 => [id.as_bytes(), b",\xff\xfebad,", time.as_bytes()].concat(),
        _ => format!("{id},{name},31/02/2020").into_bytes(),
    }
}
