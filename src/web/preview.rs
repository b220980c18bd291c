//! `POST /preview`: the beginning of a file, read by the same functions that will clean it: how its fields lie, its
//! first rows and what will become of each, or why it will be refused and which columns there are instead.

use std::collections::HashMap;

use axum::{
    Json,
    body::Body,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use encoding_rs::Encoding;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    pipeline::receive::{LEAD_BYTES, plain},
    rows::{
        Cleaner, Delimiter, Existing, Layout, LayoutError, Reason, ReasonCounts, RowOptions, User,
        csv::{CsvReader, Record},
        looks_like,
    },
    upload::{FormatWanted, ReasonCount, TimeCounts},
};

use super::{
    Context,
    errors::Problem,
    openapi::{BadRequest, RowQuery, SENDING, TooLarge, Unprocessable},
    options::Asked,
};

/// Most of a file that is looked at.
const HEAD_BYTES: usize = 2 << 20;
/// What an answer shows: so many rows, columns, and characters of each value.
const ROWS_SHOWN: usize = 20;
const COLUMNS_SHOWN: usize = 200;
const CHARACTERS_SHOWN: usize = 120;

/// How a file will be read.
#[derive(Serialize, ToSchema)]
struct Preview {
    /// `null`: its first record is not whole in what was sent.
    layout: Option<Layout>,
    /// As the option `delimiter` takes it.
    #[schema(value_type = Option<String>)]
    delimiter: Option<Delimiter>,
    /// `LF`, `CRLF` or `CR`; `null` in a file of one line.
    line_end: Option<&'static str>,
    /// Effective value of every option.
    options: RowOptions,
    columns: Vec<Column>,
    /// The first rows.
    rows: Vec<Row>,
    #[serde(flatten)]
    seen: Seen,
}

/// What all whole rows in the beginning add up to.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = PreviewSum)]
struct Seen {
    rows_seen: u64,
    /// Bytes that these rows take (expanded, where it is gzip).
    bytes_seen: u64,
    rejected: u64,
    /// Good rows whose id another of these rows has, which is stored instead.
    duplicates: u64,
    reasons: Vec<ReasonCount>,
    times: TimeCounts,
    undecodable: u64,
    looks_like: Option<String>,
    format_wanted: FormatWanted,
    /// Where the file is damaged, so that nothing of it would be stored.
    broken: Option<String>,
}

/// A column of the file.
#[derive(Serialize, ToSchema)]
#[schema(as = PreviewColumn)]
struct Column {
    /// `null` without a header.
    name: Option<String>,
    /// The first row's value.
    example: Option<String>,
    /// What is taken from it: `id`, `name` or `time_of_start`.
    field: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PreviewRow)]
struct Row {
    line: u64,
    /// As they stand in the file: id, name, time of start.
    given: [Option<String>; 3],
    #[serde(flatten)]
    outcome: Outcome,
    /// Line of the row with the same id that is stored instead of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_instead: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PreviewOutcome)]
enum Outcome {
    User { id: String, name: String, time_of_start: String },
    Reject { field: &'static str, code: &'static str, reason: String },
}

/// How a file will be read, by its first bytes, or why it will be refused; then `found` holds the columns there are.
#[utoipa::path(post, path = "/preview", operation_id = "preview", tag = SENDING,
    params(RowQuery, ("complete" = Option<bool>, Query, description = "The body is the whole file.")),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses((status = 200, body = Preview), BadRequest, TooLarge, Unprocessable))]
pub(super) async fn preview(
    State(context): State<Context>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    head: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Query(pairs) = query?;
    let mut asked = Asked::of_query(pairs);
    let complete = asked.take_flag("complete")?;
    let options = asked.over(&context.config.rows)?;
    let head = head?;
    let (head, complete) = (&head[..head.len().min(HEAD_BYTES)], complete && head.len() <= HEAD_BYTES);
    let (text, complete) = plain(head, complete, options.max_record_bytes + LEAD_BYTES)?;
    match Layout::detect(&text, complete, &options) {
        Ok(layout) => Ok(Json(Preview::new(&text, complete, layout, options)?).into_response()),
        Err(error) => Ok(refusal(error, &options)),
    }
}

/// The problem, and beside it what was found and which options hold, so that a person can choose from it.
fn refusal(error: LayoutError, options: &RowOptions) -> Response {
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.code, error.message).next(error.next);
    let names = error.found.iter().flat_map(|found| &found.names).take(COLUMNS_SHOWN);
    let columns: Vec<_> = names.map(|name| Column { name: Some(cut(name)), example: None, field: None }).collect();
    let delimiter = error.found.as_ref().map(|found| Delimiter(found.delimiter));
    let mut body = problem.body();
    body["found"] = json!({ "delimiter": delimiter, "columns": columns, "options": options });
    let mut response = problem.into_response();
    *response.body_mut() = Body::from(body.to_string());
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

impl Preview {
    fn new(text: &[u8], complete: bool, layout: Option<Layout>, options: RowOptions) -> Result<Self, Problem> {
        let line_end = line_end(text);
        let Some(layout) = layout else {
            let (columns, rows) = (Vec::new(), Vec::new());
            return Ok(Self { layout, delimiter: None, line_end, options, columns, rows, seen: Seen::default() });
        };
        let begin = usize::try_from(layout.data_offset).unwrap_or(usize::MAX);
        let data = text.get(begin..).unwrap_or_default();
        let data = if complete { data } else { &data[..whole(data, &layout, &options)] };
        let (rows, examples, seen) = read(data, &layout, &options)?;
        let columns = columns(&layout, &examples);
        let delimiter = Some(Delimiter(layout.delimiter));
        Ok(Self { layout: Some(layout), delimiter, line_end, options, columns, rows, seen })
    }
}

/// Bytes of `data` up to which its records are known to be whole.
fn whole(data: &[u8], layout: &Layout, options: &RowOptions) -> usize {
    let mut reader = CsvReader::new(data, layout.delimiter, 0, 1, options.max_record_bytes);
    let mut whole = 0;
    while let Ok(Some(_)) = reader.read() {
        let (offset, _) = reader.position();
        let offset = usize::try_from(offset).unwrap_or(data.len());
        // A record that reaches the end may go on, or be followed by the LF of its CRLF.
        if offset == data.len() && data.last() != Some(&b'\n') {
            break;
        }
        whole = offset;
    }
    whole
}

/// The first rows with what becomes of them, the values of the first, and what all add up to.
fn read(data: &[u8], layout: &Layout, options: &RowOptions) -> Result<(Vec<Row>, Vec<String>, Seen), Problem> {
    let mut reader =
        CsvReader::new(data, layout.delimiter, layout.data_offset, layout.data_line, options.max_record_bytes);
    let mut cleaner = Cleaner::new(layout, options)?;
    let (mut rows, mut examples, mut seen) = (Vec::new(), Vec::new(), Seen::default());
    let (mut reasons, mut lines, mut shown) = (ReasonCounts::default(), Lines::default(), Vec::new());
    loop {
        let record = match reader.read() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                seen.broken = Some(error.to_string());
                break;
            }
        };
        if seen.rows_seen == 0 {
            examples = record.iter().take(COLUMNS_SHOWN).map(|field| decoded(field, options.encoding)).collect();
        }
        let cleaned = cleaner.clean(&record);
        match &cleaned {
            Ok(user) => lines.add(user.id, record.line),
            Err(reason) => {
                reasons.add(record.line, reason);
                seen.rejected += 1;
            }
        }
        if rows.len() < ROWS_SHOWN {
            shown.push(cleaned.as_ref().map_or_else(|_| String::new(), |user| user.id.to_owned()));
            rows.push(Row::new(&record, cleaned, layout, options));
        }
        seen.rows_seen += 1;
    }
    for (row, id) in rows.iter_mut().zip(&shown) {
        row.stored_instead = lines.stored(id, options.existing).filter(|line| *line != row.line);
    }
    seen.duplicates = seen.rows_seen - seen.rejected - lines.0.len() as u64;
    seen.bytes_seen = reader.position().0 - layout.data_offset;
    seen.reasons = reasons.list();
    seen.times = cleaner.times();
    let (undecodable, sample) = cleaner.undecodable_rows();
    (seen.undecodable, seen.looks_like) = (undecodable, looks_like(sample));
    seen.format_wanted = cleaner.format_wanted().clone();
    Ok((rows, examples, seen))
}

impl Row {
    fn new(record: &Record<'_>, cleaned: Result<User<'_>, Reason>, layout: &Layout, options: &RowOptions) -> Self {
        let given = layout.columns.map(|column| Some(decoded(record.field(column)?, options.encoding)));
        let outcome = match cleaned {
            Ok(user) => {
                Outcome::User { id: cut(user.id), name: cut(user.name), time_of_start: user.time_of_start.to_owned() }
            }
            Err(Reason { field, code, message }) => Outcome::Reject { field, code, reason: message },
        };
        Self { line: record.line, given, outcome, stored_instead: None }
    }
}

/// The first and the last line of each id.
#[derive(Default)]
struct Lines(HashMap<String, (u64, u64)>);

impl Lines {
    fn add(&mut self, id: &str, line: u64) {
        self.0.entry(id.to_owned()).and_modify(|(_, last)| *last = line).or_insert((line, line));
    }

    /// The line whose row is stored.
    fn stored(&self, id: &str, existing: Existing) -> Option<u64> {
        let (first, last) = self.0.get(id)?;
        Some(if existing == Existing::Keep { *first } else { *last })
    }
}

fn columns(layout: &Layout, examples: &[String]) -> Vec<Column> {
    let fields = ["id", "name", "time_of_start"];
    let column = |at: usize| Column {
        name: layout.names.get(at).map(|name| cut(name)),
        example: examples.get(at).cloned(),
        field: layout.columns.iter().position(|column| *column == at).map(|field| fields[field]),
    };
    (0..layout.fields.min(COLUMNS_SHOWN)).map(column).collect()
}

fn decoded(field: &[u8], encoding: &'static Encoding) -> String {
    cut(&encoding.decode_without_bom_handling(field).0)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What ends the first line.
fn line_end(text: &[u8]) -> Option<&'static str> {
    let at = memchr::memchr2(b'\n', b'\r', text)?;
    Some(match (text[at], text.get(at + 1)) {
        (b'\n', _) => "LF",
        (_, Some(b'\n')) => "CRLF",
        _ => "CR",
    })
}
