//! `GET /uploads`: newest first. The first page begins with what the ledger does not know: uploads that are arriving,
//! and those that lie in the spool and are not registered yet.

use std::collections::HashSet;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    error::Result,
    store::{Filter, States},
    upload::{NewUpload, State as UploadState, UploadId, Waiting},
};

use super::{
    Context, blocking,
    caller::Caller,
    errors::Problem,
    openapi::{BadRequest, IfNoneMatch, NotModified, UPLOADS},
    status::{UploadView, WaitingView, ask, now_ms, waiting_for_store},
    tagged::tagged,
};

const LIMIT_MAX: u32 = 200;
/// Newest spooled uploads that the ledger is asked about one by one; a sweep registers the others within seconds.
const UNREGISTERED_MAX: usize = 20;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// A state, or `open`, or `ended`.
    state: Option<String>,
    /// Who handed it over.
    sender: Option<String>,
    /// Part of a file name or the beginning of an id.
    search: Option<String>,
    /// At most so many, 1 to 200; 50 unless told.
    limit: Option<u32>,
    /// The `next` of the page before.
    before: Option<u64>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UploadList)]
pub(super) struct Page {
    uploads: Vec<UploadView>,
    /// The `before` of the next page; null on the last one.
    next: Option<u64>,
    /// Why the ledger's part is missing.
    waiting: Option<WaitingView>,
}

impl Asked {
    /// What is listed for this caller: whoever sees its own uploads alone finds no others.
    fn filter(self, caller: &Caller) -> Result<Filter, Problem> {
        let state = self.state.filter(|state| !state.is_empty()).map(|state| state.parse::<States>()).transpose();
        let state = state.map_err(|error| Problem::bad_request("bad_query", error))?;
        let sender = self.sender.filter(|sender| !sender.is_empty()).or_else(|| caller.sees_only().map(Into::into));
        let limit = self.limit.unwrap_or(Filter::default().limit).clamp(1, LIMIT_MAX);
        let search = self.search.filter(|search| !search.is_empty());
        Ok(Filter { state, sender, content: None, search, before: self.before, limit })
    }
}

/// Uploads that the caller may see, newest first. The first page begins with those that are only arriving.
#[utoipa::path(get, path = "/uploads", operation_id = "uploads", tag = UPLOADS, params(Asked, IfNoneMatch),
    responses((status = 200, body = Page, headers(("etag" = String))), NotModified, BadRequest))]
pub(super) async fn list(
    State(context): State<Context>,
    caller: Caller,
    query: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(asked) = query?;
    let filter = asked.filter(&caller)?;
    let page = match &filter.sender {
        Some(sender) if !caller.sees(sender) => Page::default(),
        _ => page(&context, &filter).await?,
    };
    // Since when the database has been away is each time the present.
    let waiting = page.waiting.as_ref().map(|waiting| &waiting.message);
    Ok(tagged(&headers, &page, &(&page.uploads, page.next, waiting)))
}

async fn page(context: &Context, filter: &Filter) -> Result<Page, Problem> {
    let registered = match filter.state {
        Some(States::One(UploadState::Receiving)) => Ok(Vec::new()),
        _ => ask(context, context.store.uploads(filter)).await,
    };
    let (registered, waiting) = match registered {
        Ok(registered) => (registered, None),
        // Further pages are the ledger's alone.
        Err(error) if filter.before.is_some() => return Err(error.into()),
        Err(error) => (Vec::new(), Some(waiting_for_store(&error, now_ms()))),
    };
    let next = registered.last().filter(|_| registered.len() as u64 >= u64::from(filter.limit)).map(|last| last.seq);
    let mut uploads = Vec::new();
    if filter.before.is_none() {
        let known = registered.iter().map(crate::upload::Upload::id).collect();
        let newest = registered.first().map_or(0, |first| first.seq);
        uploads = unregistered(context, filter, known, newest, waiting.as_ref()).await?;
    }
    uploads.extend(registered.iter().map(UploadView::new));
    let waiting = waiting.as_ref().map(WaitingView::new);
    Ok(Page { uploads, next, waiting })
}

/// What only the spool knows and `filter` lets through, and what was registered since the ledger was read (`newest` is
/// the latest that it named): an upload must not be missing between the two.
async fn unregistered(
    context: &Context,
    filter: &Filter,
    known: HashSet<UploadId>,
    newest: u64,
    waiting: Option<&Waiting>,
) -> Result<Vec<UploadView>, Problem> {
    let wanted = |state: UploadState| filter.state.is_none_or(|asked| asked.has(state));
    let found = |view: &UploadView| {
        wanted(view.state)
            && filter.search.as_deref().is_none_or(|search| matches(view, search))
            && filter.sender.as_ref().is_none_or(|sender| *sender == view.sender)
    };
    let mut receiving = Vec::new();
    if wanted(UploadState::Receiving) {
        let spool = context.spool();
        receiving = blocking(move || spool.receiving()).await?.iter().map(UploadView::receiving).collect();
    }
    let mut received = Vec::new();
    if filter.state != Some(States::One(UploadState::Receiving)) {
        let most = if waiting.is_some() { filter.limit as usize } else { UNREGISTERED_MAX };
        for new in spooled(context, &known, most).await? {
            let registered = if waiting.is_none() { ask(context, context.store.upload(new.id)).await? } else { None };
            match registered {
                None => received.push(UploadView::spooled(&new, waiting)),
                Some(upload) if upload.seq > newest => received.push(UploadView::new(&upload)),
                Some(_) => {}
            }
        }
    }
    let mut views = each_once(receiving, received, known);
    views.retain(found);
    Ok(views)
}

/// Those that were arriving when they were looked for, and the others, which were looked for after them: whatever has
/// ended arriving between the two, or is `known` to the ledger, is arriving no more.
fn each_once(
    mut receiving: Vec<UploadView>,
    received: Vec<UploadView>,
    mut known: HashSet<UploadId>,
) -> Vec<UploadView> {
    known.extend(received.iter().map(|view| view.id));
    receiving.retain(|view| !known.contains(&view.id));
    receiving.extend(received);
    receiving
}

/// The newest `most` uploads of the spool, but for those that are `known`.
async fn spooled(context: &Context, known: &HashSet<UploadId>, most: usize) -> Result<Vec<NewUpload>> {
    let spool = context.spool();
    let known = known.clone();
    blocking(move || {
        let ids = spool.ids()?.into_iter().take(most).filter(|id| !known.contains(id));
        ids.filter_map(|id| spool.read(id).transpose()).collect()
    })
    .await
}

fn matches(view: &UploadView, search: &str) -> bool {
    let search = search.to_lowercase();
    view.filename.to_lowercase().contains(&search) || view.id.to_string().starts_with(&search)
}

#[cfg(test)]
mod tests {
    use crate::spool::{Arrival, Receiving};

    use super::*;

    #[test]
    fn what_ends_arriving_while_the_list_is_made_is_listed_once_as_what_it_is_by_then() {
        let arriving = || {
            let arrival = Arrival {
                id: UploadId::new(),
                filename: "users.csv".into(),
                sender: "anna".into(),
                size: None,
                started_ms: 0,
                resume: None,
            };
            UploadView::receiving(&Receiving { arrival, received: 0, expires_ms: None })
        };
        let (still, until_now, known_by_now) = (arriving(), arriving(), arriving());
        let done = UploadView { state: UploadState::Done, ..until_now.clone() };
        let other = UploadView { state: UploadState::Received, ..arriving() };
        let receiving = vec![still.clone(), until_now, known_by_now.clone()];
        let listed = each_once(receiving, vec![done.clone(), other.clone()], HashSet::from([known_by_now.id]));
        assert_eq!(listed, [still, done, other]);
    }
}
