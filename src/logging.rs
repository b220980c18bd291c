//! Logs go to standard error: text on a terminal, JSON elsewhere. `RUST_LOG` decides what is logged, below caps that
//! nothing lifts: some libraries would write passwords.

use std::io::IsTerminal;

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::error::{Error, Result};

/// The most verbose level of a library, whatever `RUST_LOG` says. suppaftp writes the password at `trace`.
const CAPS: [(&str, Level); 1] = [("suppaftp", Level::DEBUG)];

/// Libraries that tell too much unless `RUST_LOG` asks for it.
const QUIET: &str = "librdkafka=warn,rdkafka=warn,hyper=warn,hyper_util=warn,reqwest=warn,mysql_async=warn,\
    rustls=warn,suppaftp=warn,h2=warn";

/// Starts logging. `usual` is the level where `RUST_LOG` is not set: roles tell what they do, commands only warn.
pub fn init(usual: Level) -> Result<()> {
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref(), usual)?;
    let terminal = std::io::stderr().is_terminal();
    // NO_COLOR (no-color.org) counts when it is set and not empty.
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let registry = tracing_subscriber::registry().with(Cap).with(filter);
    let begun = if terminal {
        registry.with(lines).try_init()
    } else {
        registry.with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false)).try_init()
    };
    begun.map_err(|error| Error::fatal("logging", "starting the log").because(error))
}

fn filter(asked: Option<&str>, usual: Level) -> Result<EnvFilter> {
    let asked = asked.filter(|asked| !asked.trim().is_empty());
    let text = match asked {
        Some(asked) => format!("{QUIET},{asked}"),
        None => format!("{QUIET},{usual}"),
    };
    EnvFilter::try_new(text).map_err(|error| {
        let next = "write a level or targets with levels, such as info or userdata=debug,warn";
        Error::fatal("configuration", format!("variable RUST_LOG: {error}")).next(next)
    })
}

/// Drops what is above a library's cap, before any other filter sees it.
struct Cap;

fn capped(metadata: &Metadata) -> bool {
    CAPS.iter().any(|(target, cap)| metadata.target().starts_with(target) && metadata.level() > cap)
}

impl<S: Subscriber> Layer<S> for Cap {
    fn enabled(&self, metadata: &Metadata, _: Context<S>) -> bool {
        !capped(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(asked: Option<&str>, usual: Level, write: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(Cap).with(filter(asked, usual).unwrap()).with(layer);
        tracing::subscriber::with_default(subscriber, write);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_password_at_trace_is_never_logged_whatever_is_asked() {
        for asked in ["trace", "suppaftp=trace", "suppaftp::client=trace"] {
            let text = logged(Some(asked), Level::INFO, || {
                tracing::trace!(target: "suppaftp::client", "PASS geheim");
                tracing::debug!(target: "suppaftp::client", "connected");
            });
            assert!(!text.contains("geheim"), "{asked}: {text}");
            assert_eq!(text.contains("connected"), asked != "trace", "{asked}: {text}");
        }
    }

    #[test]
    fn libraries_are_quiet_until_asked() {
        let write = || {
            tracing::info!(target: "librdkafka", "chatter");
            tracing::info!(target: "userdata::web", "ours");
        };
        let text = logged(None, Level::INFO, write);
        assert!(text.contains("ours") && !text.contains("chatter"), "{text}");
        assert!(logged(Some("librdkafka=info"), Level::INFO, write).contains("chatter"));
    }

    #[test]
    fn an_unreadable_filter_is_refused() {
        assert_eq!(filter(Some("a=b=c"), Level::INFO).unwrap_err().code, "configuration");
    }
}
