//! The progress of an upload on standard error: one line that changes on a terminal, a plain line each ten seconds
//! elsewhere, nothing with `-q`.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use crate::upload::{Progress, Stage, Unit};

/// How often a plain line is written.
const PLAIN: Duration = Duration::from_secs(10);
/// Speed is measured over this much of the past.
const WINDOW: Duration = Duration::from_secs(10);

/// What is known at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// What the upload is when no stage runs: "received", "waiting for the archive: …".
    pub state: String,
    pub progress: Option<Progress>,
}

enum Shown {
    Terminal(ProgressBar),
    Plain { last: Option<(Instant, String)> },
    Nothing,
}

/// The line of one upload.
pub struct Line {
    name: String,
    shown: Shown,
    speed: Speed,
}

impl Line {
    /// `name` is what the person knows it by: the file's name.
    pub fn new(name: &str, quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            Shown::Terminal(bar)
        } else {
            Shown::Plain { last: None }
        };
        Self { name: output::printable(name), shown, speed: Speed::default() }
    }

    /// Shows the present state; call it several times a second.
    pub fn show(&mut self, view: &View) {
        let now = Instant::now();
        self.speed.note(now, view.progress);
        match &mut self.shown {
            Shown::Terminal(bar) => bar.set_message(text(&self.name, view, self.speed.per_second())),
            Shown::Plain { last } => {
                let what = what(view);
                let due = last.as_ref().is_none_or(|(at, said)| now - *at >= PLAIN || *said != what);
                if due {
                    output::message(text(&self.name, view, self.speed.per_second()));
                    *last = Some((now, what));
                }
            }
            Shown::Nothing => {}
        }
    }

    /// Takes the line away, so that the result stands in its place.
    pub fn clear(&self) {
        if let Shown::Terminal(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// What a change of is told at once.
fn what(view: &View) -> String {
    view.progress.map_or_else(|| view.state.clone(), |progress| verb(progress.stage).into())
}

fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Receive => "receiving",
        Stage::Archive => "archiving",
        Stage::Expand => "expanding",
        Stage::Index => "reading",
        Stage::Clean => "cleaning",
        Stage::Split => "splitting",
        Stage::Load => "loading",
        Stage::Finish => "finishing",
    }
}

/// "users.csv · loading · 12,000 of 50,000 rows (24 %) · 3,400 rows/s · 12s left"
fn text(name: &str, view: &View, per_second: Option<f64>) -> String {
    let Some(progress) = view.progress else {
        return format!("{name} · {}", output::printable(&view.state));
    };
    let amount = |amount| match progress.unit {
        Unit::Bytes => output::bytes(amount),
        Unit::Rows | Unit::Tasks => output::grouped(amount),
    };
    let mut parts = vec![name.to_string(), verb(progress.stage).into()];
    let unit = match progress.unit {
        Unit::Bytes => "",
        Unit::Rows => " rows",
        Unit::Tasks => " tasks of Spark",
    };
    if progress.total > 0 {
        let share = (progress.done as f64 / progress.total as f64 * 100.0).min(100.0);
        let (done, total) = (amount(progress.done), amount(progress.total));
        parts.push(format!("{done} of {total}{unit} ({share:.0} %)"));
    } else if progress.done > 0 {
        parts.push(format!("{}{unit}", amount(progress.done)));
    }
    if let Some(speed) = per_second.filter(|speed| *speed >= 1.0 && progress.unit != Unit::Tasks) {
        parts.push(format!("{}{unit}/s", amount(speed as u64)));
        let left = progress.total.saturating_sub(progress.done) as f64 / speed;
        if progress.total > progress.done {
            parts.push(format!("{} left", output::span((left * 1000.0) as i64 + 999)));
        }
    }
    parts.join(" · ")
}

/// Speed of the present stage.
#[derive(Default)]
struct Speed {
    stage: Option<Stage>,
    seen: VecDeque<(Instant, u64)>,
}

impl Speed {
    fn note(&mut self, now: Instant, progress: Option<Progress>) {
        let stage = progress.map(|progress| progress.stage);
        let done = progress.map_or(0, |progress| progress.done);
        if stage != self.stage || self.seen.back().is_some_and(|(_, before)| done < *before) {
            self.stage = stage;
            self.seen.clear();
        }
        self.seen.push_back((now, done));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(at, _)| now - *at > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Units a second, once there is enough to tell.
    fn per_second(&self) -> Option<f64> {
        let ((first, from), (last, to)) = (self.seen.front()?, self.seen.back()?);
        let seconds = (*last - *first).as_secs_f64();
        (seconds >= 0.5).then(|| (to - from) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loading(done: u64) -> View {
        View {
            state: "loading".into(),
            progress: Some(Progress { stage: Stage::Load, done, total: 50_000, unit: Unit::Rows }),
        }
    }

    #[test]
    fn a_line_tells_stage_amount_speed_and_time_left() {
        assert_eq!(
            text("users.csv", &loading(12_000), Some(3_400.0)),
            "users.csv · loading · 12,000 of 50,000 rows (24 %) · 3,400 rows/s · 12s left"
        );
        let view = View { state: "waiting for the archive: 530 Login incorrect".into(), progress: None };
        assert_eq!(text("a", &view, None), "a · waiting for the archive: 530 Login incorrect");
    }

    #[test]
    fn speed_is_that_of_the_last_ten_seconds_of_this_stage() {
        let (mut speed, begin) = (Speed::default(), Instant::now());
        for second in 0..30 {
            let done = if second < 15 { second * 1_000 } else { 15_000 + (second - 15) * 100 };
            speed.note(begin + Duration::from_secs(second), loading(done).progress);
        }
        assert_eq!(speed.per_second(), Some(100.0));
        speed.note(begin, Some(Progress { stage: Stage::Finish, done: 0, total: 0, unit: Unit::Rows }));
        assert_eq!(speed.per_second(), None);
    }
}
