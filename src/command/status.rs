//! `status`: all uploads, or everything about one, once or until its end.

use tokio_util::sync::CancellationToken;

use super::{
    Exit, account, follow, output,
    output::{bytes, counted, grouped, printable, span, time},
    progress::Line,
    resolve, table,
};
use crate::{
    cli::Status,
    error::{Error, Result},
    rows::RowOptions,
    store::{Filter, Store},
    upload::{Event, Upload, UploadId},
    web::status::UploadView,
};

pub async fn run(store: &dyn Store, args: &Status, stop: &CancellationToken) -> Result<Exit> {
    let Some(text) = &args.upload else { return list(store, args).await };
    let id = resolve::id(store, text).await?;
    if args.watch {
        return watch(store, id, args.json, stop).await;
    }
    let upload = resolve::by_id(store, id).await?;
    if args.json {
        output::line(format_args!("{:#}", json(&upload)?))?;
    } else {
        output::data(everything(&upload, &store.events(id).await?))?;
    }
    Ok(Exit::Done)
}

/// As `GET /uploads/{id}` shows it.
fn json(upload: &Upload) -> Result<serde_json::Value> {
    let value = serde_json::to_value(UploadView::new(upload));
    value.map_err(|error| Error::fatal("json", "writing JSON").because(error))
}

async fn list(store: &dyn Store, args: &Status) -> Result<Exit> {
    // One more tells whether there are more.
    let filter = Filter { state: args.state, limit: args.limit.saturating_add(1), ..Filter::default() };
    let mut uploads = store.uploads(&filter).await?;
    let are_more = uploads.len() > args.limit as usize;
    uploads.truncate(args.limit as usize);
    if args.json {
        let views = uploads.iter().map(json).collect::<Result<Vec<_>>>()?;
        output::line(format_args!("{:#}", serde_json::json!({ "uploads": views, "more": are_more })))?;
    } else if uploads.is_empty() {
        let place = store.name();
        match args.state {
            None => output::message(format_args!("no uploads yet ({place}); load a file with: userdata import FILE")),
            Some(_) => output::message(format_args!("no uploads in that state ({place})")),
        }
    } else {
        output::data(table::uploads(&uploads))?;
        if are_more {
            let more = args.limit.saturating_mul(10);
            output::message(format_args!("the newest {}; more: --limit {more}, or --state open or failed", args.limit));
        }
    }
    Ok(Exit::Done)
}

async fn watch(store: &dyn Store, id: UploadId, as_json: bool, stop: &CancellationToken) -> Result<Exit> {
    let first = resolve::by_id(store, id).await?;
    let mut line = Line::new(&first.new.filename, as_json);
    let mut before = None;
    let each_change = |upload: &Upload| {
        if as_json {
            let now = json(upload)?;
            if before.as_ref() != Some(&now) {
                output::line(&now)?;
                before = Some(now);
            }
        }
        Ok(())
    };
    let upload = follow::until_end(store, id, stop, each_change, &mut line).await?;
    if !as_json {
        account::tell(&upload, None)?;
    }
    Ok(Exit::of_upload(&upload))
}

/// All that the ledger knows of an upload.
fn everything(upload: &Upload, events: &[Event]) -> String {
    let mut lines = Vec::new();
    let mut put = |name: &str, value: String| lines.push(format!("{name:<10} {value}"));
    let new = &upload.new;
    put("upload", upload.id().to_string());
    put("file", format!("{} ({})", printable(&new.filename), bytes(new.size)));
    put("state", state(upload));
    if let Some(progress) = follow::view(upload).progress {
        let unit = serde_json::to_value(progress.unit).ok().and_then(|unit| unit.as_str().map(String::from));
        let (done, total) = (grouped(progress.done), grouped(progress.total));
        put("progress", format!("{done} of {total} {}", unit.unwrap_or_default()));
    }
    if let Some(waiting) = upload.waiting.as_ref().filter(|_| upload.state.is_open()) {
        let next = waiting.next_try.map(|next| format!(", next try in {}", span(next - upload.now_ms)));
        let since = span(upload.now_ms - waiting.since);
        put("waiting", format!("{} (for {since}{})", printable(&waiting.message), next.unwrap_or_default()));
    }
    put("sender", printable(&new.sender));
    put("sha256", new.sha256.clone().unwrap_or_else(|| "not known yet".into()));
    if let Some(first) = new.again_of {
        put("again of", first.to_string());
    }
    put("received", time(new.received_ms));
    if let (Some(at), Some(name)) = (upload.archived_ms, &upload.archive_name) {
        put("archived", format!("{} as {}", time(at), printable(name)));
    }
    if let Some(at) = upload.finished_ms {
        put("finished", time(at));
    }
    if let Some(cleaned) = &upload.cleaned {
        put("rows", rows(upload, cleaned.read));
        let times = &cleaned.times;
        let formats: String =
            times.formats.iter().map(|(format, count)| format!(", {} {format}", grouped(*count))).collect();
        let named = [("with offset", times.offset), ("in the zone", times.zone), ("epoch", times.epoch)];
        let named = named.map(|(name, count)| format!("{} {name}", grouped(count))).join(", ");
        let (folds, gaps) = (grouped(times.folds), grouped(times.gaps));
        put("times", format!("{named}{formats}; {folds} in a fold, {gaps} in a gap"));
    }
    put("options", options(upload));
    if !upload.state.is_open() {
        lines.push(String::new());
        lines.push(account::sentence(upload));
        lines.extend(account::details(upload));
    }
    lines.push(String::new());
    lines.extend(events.iter().map(event));
    lines.join("\n") + "\n"
}

fn state(upload: &Upload) -> String {
    let mut text = upload.state.to_string();
    if let Some(owner) = upload.owner.as_ref().filter(|_| upload.is_claimed()) {
        text += &format!(", worked on by {}", printable(owner));
    }
    if upload.attempts > 0 {
        text += &format!(", {} failed", counted(upload.attempts.into(), "attempt", "attempts"));
    }
    if upload.cancel_asked && upload.state.is_open() {
        text += ", to be cancelled";
    }
    text
}

fn rows(upload: &Upload, read: u64) -> String {
    let counts = &upload.counts;
    format!(
        "{} read, {} new, {} replaced, {} ({} in the file, {} in the table), {} rejected",
        grouped(read),
        grouped(counts.inserted),
        grouped(counts.replaced),
        counted(counts.duplicates, "duplicate", "duplicates"),
        grouped(counts.repeated_in_file),
        grouped(counts.already_present),
        grouped(counts.rejected)
    )
}

/// The row options that are not the built-in ones.
fn options(upload: &Upload) -> String {
    let usual = serde_json::to_value(RowOptions::default()).unwrap_or_default();
    let Ok(serde_json::Value::Object(options)) = serde_json::to_value(&upload.new.options) else {
        return String::new();
    };
    let changed = options.iter().filter(|(name, value)| usual.get(*name) != Some(*value));
    let shown: Vec<_> = changed.map(|(name, value)| format!("{name} = {}", crate::config::show::toml(value))).collect();
    if shown.is_empty() { "the built-in ones".into() } else { printable(&shown.join(", ")) }
}

fn event(event: &Event) -> String {
    let worker = event.worker.as_deref().map(|worker| format!(" by {worker}")).unwrap_or_default();
    let attempt = if event.attempt > 0 { format!(", attempt {}", event.attempt) } else { String::new() };
    // Some say no more than the state does.
    let says_more = !event.message.is_empty() && event.message != event.state.name();
    let message = if says_more { format!(": {}", event.message) } else { String::new() };
    printable(&format!("{}  {}{worker}{attempt}{message}", time(event.at), event.state))
}
