//! Looks at the ledger, which other processes write too, and at what arrives in the spool, and tells the board what has
//! changed. One of it runs, and only while somebody listens.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::debug;

use crate::{
    error::{Error, Result},
    spool::Receiving,
    store::Mark,
    upload::{EpochMs, UploadId},
};

use super::{
    super::{
        Context, blocking,
        status::{UploadView, WaitingView, ask, now_ms, waiting_for_store},
    },
    board::{Board, Told},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Of the time, looks take at most a part of this many, however much there is to look at.
const PARTS: u32 = 5;
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How much longer than since the last look what has ended is asked for: an end may be committed that late.
const LATE: Duration = Duration::from_secs(10);
/// Changed uploads that one request to the database reads.
const AT_ONCE: usize = 100;

/// Watches until nobody listens any more, or the server stops.
pub(super) async fn watch(context: Context) {
    let board = context.board.clone();
    let mut watcher = Watcher::new(&context);
    let watching = async {
        loop {
            let begun = Instant::now();
            if let Err(error) = watcher.look().await {
                debug!(%error, "uploads could not be looked at for those who follow them");
            }
            board.looked();
            if board.is_left() {
                return;
            }
            let pause = (begun.elapsed() * (PARTS - 1)).clamp(PAUSE, PAUSE_MAX);
            tokio::select! {
                () = sleep(pause) => {}
                () = board.look.notified() => {}
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = board.closed.cancelled() => {}
    }
}

struct Watcher<'a> {
    context: &'a Context,
    board: Arc<Board>,
    /// The mark that each upload of the ledger had.
    known: HashMap<UploadId, Mark>,
    /// What was arriving, or lay in the spool and not in the ledger, with its sender.
    arriving: HashMap<UploadId, String>,
    /// When the ledger answered last.
    answered: Option<Instant>,
    /// Since when it does not.
    silent: Option<EpochMs>,
}

impl<'a> Watcher<'a> {
    fn new(context: &'a Context) -> Self {
        let (known, arriving) = (HashMap::new(), HashMap::new());
        Self { context, board: context.board.clone(), known, arriving, answered: None, silent: None }
    }

    async fn look(&mut self) -> Result<()> {
        let spool = self.context.spool();
        // The spool first: what leaves it meanwhile is in the ledger then.
        let arrived = self.board.take_arrived();
        let receiving = blocking(move || spool.receiving()).await?;
        let looked = Instant::now();
        let ended_within = self.answered.map_or(Duration::ZERO, |before| before.elapsed()) + LATE;
        let marks = ask(self.context, self.context.store.marks(ended_within)).await;
        let silence = match marks {
            Ok(marks) => match self.ledger(marks).await {
                Ok(()) => {
                    self.answered = Some(looked);
                    None
                }
                Err(error) => Some(error),
            },
            Err(error) => Some(error),
        };
        self.outage(silence.as_ref());
        self.spool(receiving, arrived, silence.as_ref()).await
    }

    fn outage(&mut self, silence: Option<&Error>) {
        let Some(error) = silence else {
            self.silent = None;
            return self.board.outage(None);
        };
        let since = *self.silent.get_or_insert_with(now_ms);
        self.board.outage(Some(json(&WaitingView::new(&waiting_for_store(error, since)))));
    }

    /// Tells what has changed in the ledger.
    async fn ledger(&mut self, marks: Vec<Mark>) -> Result<()> {
        let first = self.answered.is_none();
        let marked: HashSet<_> = marks.iter().map(|mark| mark.id).collect();
        let mut changed = marks;
        changed.retain(|mark| self.known.get(&mark.id) != Some(mark));
        // Ended, and that longer ago than was asked for.
        let missed = self.known.values().filter(|before| before.open && !marked.contains(&before.id));
        changed.extend(missed.map(|before| Mark { open: false, ..*before }));
        self.known.retain(|id, before| before.open || marked.contains(id));
        for marks in changed.chunks(AT_ONCE) {
            let ids: Vec<_> = marks.iter().map(|mark| mark.id).collect();
            for upload in ask(self.context, self.context.store.uploads_of(&ids)).await? {
                let told = match (upload.state.is_open(), first) {
                    (true, _) => Told::Open,
                    (false, false) => Told::Ended,
                    (false, true) => Told::EndedBefore,
                };
                self.board.tell(upload.id(), &upload.new.sender, told, json(&UploadView::new(&upload)));
            }
            self.known.extend(marks.iter().map(|mark| (mark.id, *mark)));
        }
        Ok(())
    }

    /// Tells what arrives, what has arrived and is not in the ledger yet, and what broke off.
    async fn spool(
        &mut self,
        receiving: Vec<Receiving>,
        arrived: Vec<(UploadId, String)>,
        silence: Option<&Error>,
    ) -> Result<()> {
        self.arriving.extend(arrived);
        self.arriving.retain(|id, _| !self.known.contains_key(id));
        let mut gone: HashSet<_> = self.arriving.keys().copied().collect();
        for receiving in receiving {
            let arrival = &receiving.arrival;
            gone.remove(&arrival.id);
            if !self.known.contains_key(&arrival.id) {
                let view = json(&UploadView::receiving(&receiving));
                self.board.tell(arrival.id, &arrival.sender, Told::Open, view);
                self.arriving.insert(arrival.id, arrival.sender.clone());
            }
        }
        for id in gone {
            let spool = self.context.spool();
            let Some(sender) = self.arriving.get(&id) else { continue };
            if let Some(new) = blocking(move || spool.read(id)).await? {
                let waiting = silence.map(|error| waiting_for_store(error, new.received_ms));
                self.board.tell(id, sender, Told::Open, json(&UploadView::spooled(&new, waiting.as_ref())));
            } else if silence.is_none() {
                self.board.tell(id, sender, Told::Gone, format!("{{\"id\":\"{id}\"}}"));
                self.arriving.remove(&id);
            }
        }
        Ok(())
    }
}

fn json(view: &impl serde::Serialize) -> String {
    // The views are JSON.
    serde_json::to_string(view).unwrap_or_default()
}
