//! Files of users, seeded and fast, with exact counts of what must become of them. Length and mix are those of files
//! as they come: a UUID, a name (a third of them not ASCII), a time with offset, about 78 bytes a row.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use chrono::{DateTime, Datelike, Timelike, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

const FIRST: [&str; 26] = [
    "Ada",
    "BOB",
    "Çelik",
    "DVOŘÁK",
    "Émile",
    "FRANÇOIS",
    "Γιώργος",
    "HÅKON",
    "İrem",
    "JOSÉ",
    "Károly",
    "ŁUKASZ",
    "Мария",
    "NIÑO",
    "ÓSCAR",
    "PETER",
    "Quinn",
    "RENÉE",
    "ΣΊΣΥΦΟΣ",
    "Thomas",
    "Ümit",
    "VICTOR",
    "WEI",
    "Xenia",
    "Yara",
    "ZOË",
];
const LAST: [&str; 16] = [
    "Smith",
    "JONES",
    "Müller",
    "GARCÍA",
    "Nowak",
    "SILVA",
    "Öztürk",
    "ИВАНОВ",
    "Papadopoulos",
    "O'NEIL",
    "van der Berg",
    "LEE",
    "Kim",
    "田中",
    "Haddad",
    "STRAẞE",
];
const HEADER: &[u8] = b"id,name,time_of_start\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    Uuid,
    Sequential,
    Email,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// ISO 8601 with one of five offsets.
    Offset,
    /// Eight forms: offset, Z, none, epochs, RFC 2822, digits, the original system's.
    Mixed,
}

/// What kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub ids: Ids,
    pub times: Times,
    /// Share of rows that cannot become a user.
    pub bad: f64,
    pub seed: u64,
    /// Share of ids that are those of the file of seed `FIRST_SEED`, in its order.
    pub overlap: f64,
}

/// The seed of a file that others overlap with.
pub const FIRST_SEED: u64 = 1;
/// Share of rows that repeat an id of their own file.
const REPEATED: f64 = 0.02;
/// Epochs of these seconds have ten digits, in milliseconds thirteen: there is one way to read them.
const TIMES_S: std::ops::Range<i64> = 1_000_000_000..1_893_456_000;

/// What was written, exactly.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Expected {
    pub rows: u64,
    pub bytes: u64,
    /// Different ids of good rows.
    pub distinct: u64,
    /// Good rows whose id came before in the same file.
    pub repeated: u64,
    /// Of `distinct`, those of the first file.
    pub borrowed: u64,
    pub bad: u64,
}

pub fn write(path: &Path, rows: u64, kind: &Kind) -> io::Result<Expected> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = StdRng::seed_from_u64(kind.seed);
    let mut expected = Expected { rows, bytes: HEADER.len() as u64, ..Expected::default() };
    out.write_all(HEADER)?;
    let (mut line, mut fresh) = (Vec::new(), 0);
    for _ in 0..rows {
        line.clear();
        if kind.bad > 0.0 && random.random_bool(kind.bad) {
            expected.bad += 1;
            bad_row(&mut line, kind, expected.bad, &mut random);
        } else {
            if expected.distinct > 0 && random.random_bool(REPEATED) {
                expected.repeated += 1;
                // One of the ids so far: those of its own first, then the borrowed ones.
                let chosen = random.random_range(0..expected.distinct);
                match chosen.checked_sub(fresh) {
                    None => id(&mut line, kind.ids, kind.seed, chosen),
                    Some(borrowed) => id(&mut line, kind.ids, FIRST_SEED, borrowed),
                }
            } else if kind.overlap > 0.0 && random.random_bool(kind.overlap) {
                id(&mut line, kind.ids, FIRST_SEED, expected.borrowed);
                expected.borrowed += 1;
                expected.distinct += 1;
            } else {
                id(&mut line, kind.ids, kind.seed, fresh);
                fresh += 1;
                expected.distinct += 1;
            }
            line.push(b',');
            name(&mut line, &mut random);
            line.push(b',');
            time(&mut line, kind.times, &mut random)?;
        }
        line.push(b'\n');
        expected.bytes += line.len() as u64;
        out.write_all(&line)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(expected)
}

/// One to one on 64 bits (the finalizer of SplitMix64), so ids of one seed never meet.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The id of this number: always the same, and of no other number of this seed.
fn id(out: &mut Vec<u8>, ids: Ids, seed: u64, number: u64) {
    match ids {
        Ids::Sequential => digits(out, number + 1, 1),
        Ids::Uuid => {
            let high = mixed(number.wrapping_add(mixed(seed)));
            let low = mixed(high ^ seed.rotate_left(32));
            hex(out, high >> 32, 8);
            out.push(b'-');
            hex(out, high >> 16, 4);
            out.extend_from_slice(b"-4");
            hex(out, high, 3);
            out.push(b'-');
            hex(out, 0x8 | (low >> 60 & 0x3), 1);
            hex(out, low >> 48, 3);
            out.push(b'-');
            hex(out, low, 12);
        }
        Ids::Email => {
            // An odd factor is one to one modulo 2^48.
            let part = number.wrapping_mul(0x5851_f42d_4c95).wrapping_add(seed) & 0xffff_ffff_ffff;
            let other = mixed(part);
            out.extend_from_slice(["ada.", "bob.", "çelik.", "dvořák."][(other & 3) as usize].as_bytes());
            hex(out, part, 12);
            let domain = ["@example.com", "@example.org", "@mail.example.net"][(other >> 8) as usize % 3];
            out.extend_from_slice(domain.as_bytes());
        }
    }
}

fn name(out: &mut Vec<u8>, random: &mut StdRng) {
    out.extend_from_slice(FIRST[random.random_range(0..FIRST.len())].as_bytes());
    out.push(b' ');
    out.extend_from_slice(LAST[random.random_range(0..LAST.len())].as_bytes());
}

fn time(out: &mut Vec<u8>, times: Times, random: &mut StdRng) -> io::Result<()> {
    let second = random.random_range(TIMES_S);
    let kind = if times == Times::Offset { 0 } else { random.random_range(0..8) };
    let millis = if matches!(kind, 1 | 4) { random.random_range(0..1000_u64) } else { 0 };
    let at = DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default();
    match kind {
        0 => {
            calendar(out, &at, b"-", b"T", b":");
            let offset = ["+00:00", "+02:00", "-05:00", "+05:30", "+09:00"][random.random_range(0..5)];
            out.extend_from_slice(offset.as_bytes());
        }
        1 => {
            calendar(out, &at, b"-", b"T", b":");
            out.push(b'.');
            digits(out, millis, 3);
            out.push(b'Z');
        }
        2 => calendar(out, &at, b"-", b" ", b":"),
        3 => digits(out, second.unsigned_abs(), 10),
        4 => digits(out, second.unsigned_abs() * 1000 + millis, 13),
        5 => write!(out, "\"{}\"", at.format("%a, %d %b %Y %H:%M:%S +0200"))?,
        6 => calendar(out, &at, b"", b"", b""),
        _ => write!(out, "{}", at.format("%d-%m-%y %H:%M:%S"))?,
    }
    Ok(())
}

fn calendar(out: &mut Vec<u8>, at: &DateTime<Utc>, of_date: &[u8], between: &[u8], of_time: &[u8]) {
    digits(out, u64::from(at.year().unsigned_abs()), 4);
    out.extend_from_slice(of_date);
    digits(out, at.month().into(), 2);
    out.extend_from_slice(of_date);
    digits(out, at.day().into(), 2);
    out.extend_from_slice(between);
    digits(out, at.hour().into(), 2);
    out.extend_from_slice(of_time);
    digits(out, at.minute().into(), 2);
    out.extend_from_slice(of_time);
    digits(out, at.second().into(), 2);
}

fn bad_row(out: &mut Vec<u8>, kind: &Kind, number: u64, random: &mut StdRng) {
    // Ids that no good row has.
    let own = |out: &mut Vec<u8>| id(out, kind.ids, !kind.seed, number);
    match random.random_range(0..4) {
        0 => {
            own(out);
            out.extend_from_slice(b",Ada Smith,not-a-time");
        }
        1 => out.extend_from_slice(b",Ada Smith,2020-01-01T00:00:00Z"),
        2 => {
            own(out);
            out.extend_from_slice(b",Ada Smith");
        }
        _ => {
            own(out);
            out.extend_from_slice(b",\xff\xfebad,2020-01-01T00:00:00Z");
        }
    }
}

/// Decimal, with zeros in front up to `width`, and longer where it needs more.
fn digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let start = out.len();
    while value > 0 || out.len() - start < width {
        out.push(b'0' + (value % 10) as u8);
        value /= 10;
    }
    out[start..].reverse();
}

/// The lowest `width` hexadecimal digits.
fn hex(out: &mut Vec<u8>, value: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * place) & 0xf) as usize]);
    }
}
