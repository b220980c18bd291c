//! The newest state of each upload, as one watcher found it and all subscribers read it. Each change has a number; a
//! subscriber remembers the last one that it was sent and asks for the next. So however slow one is, it takes no memory,
//! and what it is sent is never older than the last look.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::upload::{EpochMs, UploadId};

/// Ended uploads that slow subscribers may not have heard of yet; who is further behind begins anew.
const ENDED_MAX: usize = 2_000;
/// Uploads that may have arrived between two looks; of more the ledger tells.
const ARRIVED_MAX: usize = 10_000;

/// What became of an upload, as far as subscribers are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Open,
    Ended,
    /// It had ended when the watcher began; who follows it may not have heard.
    EndedBefore,
    /// It broke off while it arrived: nothing of it is left.
    Gone,
}

/// An upload's newest state.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub number: u64,
    pub id: UploadId,
    pub sender: Arc<str>,
    pub told: Told,
    /// The event's data.
    pub data: Arc<str>,
}

/// The number of a change, and what the database said in it: nothing where it answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage {
    pub number: u64,
    pub data: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct State {
    subscribers: usize,
    watched: bool,
    /// The watcher has looked once: the open uploads are all here.
    looked: bool,
    /// The last change.
    last: u64,
    news: HashMap<UploadId, News>,
    order: BTreeMap<u64, UploadId>,
    ended: VecDeque<(u64, UploadId)>,
    /// The last change that was dropped.
    dropped: u64,
    outage: Outage,
    /// Uploads, with their senders, that may lie in the spool alone.
    arrived: Vec<(UploadId, String)>,
}

/// Shared by the watcher and all subscribers.
#[derive(Debug)]
pub(in crate::web) struct Board {
    state: Mutex<State>,
    /// The last change's number; subscribers wait for the next one.
    changed: watch::Sender<u64>,
    /// Somebody knows of something to look at.
    pub(super) look: Notify,
    /// The server stops: streams end.
    pub(in crate::web) closed: CancellationToken,
}

impl Board {
    /// Numbers go on behind those of a process before this one, so that event ids grow over a restart.
    pub fn new(now: EpochMs) -> Self {
        let last = u64::try_from(now).unwrap_or_default() * 1000;
        let state = State { last, ..State::default() };
        Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(last),
            look: Notify::new(),
            closed: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload is in the spool, and may be nowhere else.
    pub fn arrived(&self, id: UploadId, sender: &str) {
        let mut state = self.state();
        if state.watched && state.arrived.len() < ARRIVED_MAX {
            state.arrived.push((id, sender.to_owned()));
            drop(state);
            self.look.notify_one();
        }
    }

    pub(super) fn take_arrived(&self) -> Vec<(UploadId, String)> {
        std::mem::take(&mut self.state().arrived)
    }

    /// Whether a subscriber is the first one, for whom somebody has to watch.
    fn join(self: &Arc<Self>, wanted: Wanted) -> (Subscription, bool) {
        let mut state = self.state();
        state.subscribers += 1;
        let begins = !std::mem::replace(&mut state.watched, true);
        let begun = state.last;
        drop(state);
        let subscription =
            Subscription { board: self.clone(), changed: self.changed.subscribe(), wanted, begun, seen: 0, outage: 0 };
        (subscription, begins)
    }

    /// Subscribes; where nobody watches yet, `watch` is called to begin it.
    pub(super) fn subscribe(self: &Arc<Self>, wanted: Wanted, watch: impl FnOnce()) -> Subscription {
        let (subscription, begins) = self.join(wanted);
        if begins {
            watch();
        }
        subscription
    }

    /// Whether the watcher may end, since nobody is left; what was known is forgotten then.
    pub(super) fn is_left(&self) -> bool {
        let mut state = self.state();
        if state.subscribers > 0 {
            return false;
        }
        *state = State { last: state.last, ..State::default() };
        true
    }

    /// The watcher has looked once.
    pub(super) fn looked(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.looked, true) {
            self.notify(state);
        }
    }

    /// Enters an upload's newest state, unless it is what is known already.
    pub(super) fn tell(&self, id: UploadId, sender: &str, told: Told, data: String) {
        let mut state = self.state();
        let before = state.news.get(&id);
        if before.is_some_and(|before| before.told == told && *before.data == *data) {
            return;
        }
        let sender = before.map_or_else(|| sender.into(), |before| before.sender.clone());
        state.last += 1;
        let number = state.last;
        let before = state.news.insert(id, News { number, id, sender, told, data: data.into() });
        if let Some(before) = before {
            state.order.remove(&before.number);
        }
        state.order.insert(number, id);
        if told != Told::Open {
            state.ended.push_back((number, id));
        }
        while state.ended.len() > ENDED_MAX {
            state.drop_oldest();
        }
        self.notify(state);
    }

    /// Notes what the database says that cannot be asked, or that it answers again.
    pub(super) fn outage(&self, data: Option<String>) {
        let mut state = self.state();
        if state.outage.data.as_deref() == data.as_deref() {
            return;
        }
        state.last += 1;
        state.outage = Outage { number: state.last, data: data.map(Into::into) };
        self.notify(state);
    }

    fn notify(&self, state: MutexGuard<'_, State>) {
        let last = state.last;
        drop(state);
        self.changed.send_replace(last);
    }
}

impl State {
    fn drop_oldest(&mut self) {
        let Some((number, id)) = self.ended.pop_front() else { return };
        // It may have been opened again since.
        if self.order.remove(&number).is_some() {
            self.news.remove(&id);
            self.dropped = number;
        }
    }
}

/// What a subscriber hears of.
pub(super) struct Wanted {
    /// Only this upload.
    pub only: Option<UploadId>,
    /// Only what this sender handed over.
    pub sender: Option<String>,
}

impl Wanted {
    fn has(&self, news: &News) -> bool {
        self.only.is_none_or(|only| only == news.id)
            && self.sender.as_deref().is_none_or(|sender| sender == &*news.sender)
    }
}

/// Something to send.
#[derive(Debug)]
pub(super) enum Next {
    Upload(News),
    Outage(Outage),
    /// So far behind that something was missed: begin anew.
    Missed,
}

/// One subscriber's place among the changes.
pub(super) struct Subscription {
    board: Arc<Board>,
    changed: watch::Receiver<u64>,
    wanted: Wanted,
    /// What ended before this number is no news.
    begun: u64,
    seen: u64,
    outage: u64,
}

impl Subscription {
    /// The number of the last change when it began.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// What is behind the beginning alone is news: the state then is known otherwise.
    pub fn skip_known(&mut self) {
        self.seen = self.begun;
    }

    /// The next thing to send; waits for it. Dropped meanwhile it loses nothing.
    pub async fn next(&mut self) -> Next {
        loop {
            self.changed.borrow_and_update();
            if let Some(next) = self.take() {
                return next;
            }
            if self.changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn take(&mut self) -> Option<Next> {
        let state = self.board.state();
        if !state.looked {
            return None;
        }
        if state.dropped > self.seen.max(self.begun) {
            return Some(Next::Missed);
        }
        // A service that was away and is back before anybody heard of it is no news.
        if state.outage.number > self.outage && (state.outage.data.is_some() || self.outage > 0) {
            self.outage = state.outage.number;
            return Some(Next::Outage(state.outage.clone()));
        }
        for (number, id) in state.order.range(self.seen + 1..) {
            self.seen = *number;
            let Some(news) = state.news.get(id) else { continue };
            let is_news = match news.told {
                Told::Open => true,
                Told::Ended | Told::Gone => news.number > self.begun,
                Told::EndedBefore => news.number > self.begun && self.wanted.only.is_some(),
            };
            if is_news && self.wanted.has(news) {
                return Some(Next::Upload(news.clone()));
            }
        }
        None
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.board.state().subscribers -= 1;
    }
}

#[cfg(test)]
mod tests;
