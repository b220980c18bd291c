//! `GET /uploads`: newest first. The first page begins with what the ledger does not know: uploads that are arriving,
//! and those that lie in the spool and are not registered yet.

use std::collections::HashSet;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    store::Filter,
    upload::{NewUpload, State as UploadState, UploadId, Waiting},
};

use super::{
    Context, blocking,
    errors::Problem,
    status::{UploadView, WaitingView, ask, now_ms, waiting_for_store},
};

const LIMIT_MAX: u32 = 200;
/// Newest spooled uploads that the ledger is asked about one by one; a sweep registers the others within seconds.
const UNREGISTERED_MAX: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    state: Option<String>,
    search: Option<String>,
    limit: Option<u32>,
    before: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Page {
    uploads: Vec<UploadView>,
    /// The `before` of the next page; null on the last one.
    next: Option<u64>,
    /// Why the ledger's part is missing.
    waiting: Option<WaitingView>,
}

pub(super) async fn list(
    State(context): State<Context>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(asked) = query.map_err(|error| Problem::bad_request("bad_query", error.body_text()))?;
    let state = asked.state.filter(|state| !state.is_empty()).map(|state| state.parse::<UploadState>()).transpose();
    let state = state.map_err(|error| Problem::bad_request("bad_query", error))?;
    let limit = asked.limit.unwrap_or(Filter::default().limit).clamp(1, LIMIT_MAX);
    let search = asked.search.filter(|search| !search.is_empty());
    let filter = Filter { state, search, before: asked.before, limit };

    let registered = match state {
        Some(UploadState::Receiving) => Ok(Vec::new()),
        _ => ask(&context, context.store.uploads(&filter)).await,
    };
    let (registered, waiting) = match registered {
        Ok(registered) => (registered, None),
        // Further pages are the ledger's alone.
        Err(error) if filter.before.is_some() => return Err(error.into()),
        Err(error) => (Vec::new(), Some(waiting_for_store(&error, now_ms()))),
    };
    let next = registered.last().filter(|_| registered.len() as u64 >= u64::from(limit)).map(|last| last.seq);
    let mut uploads = Vec::new();
    if filter.before.is_none() {
        let known = registered.iter().map(crate::upload::Upload::id).collect();
        let newest = registered.first().map_or(0, |first| first.seq);
        uploads = unregistered(&context, &filter, known, newest, waiting.as_ref()).await?;
    }
    uploads.extend(registered.iter().map(UploadView::new));
    let waiting = waiting.as_ref().map(WaitingView::new);
    Ok(Json(Page { uploads, next, waiting }))
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
    let wanted = |state: UploadState| filter.state.is_none_or(|asked| asked == state);
    let found = |view: &UploadView| filter.search.as_deref().is_none_or(|search| matches(view, search));
    let mut views = Vec::new();
    if wanted(UploadState::Receiving) {
        let spool = context.spool();
        let receiving = blocking(move || spool.receiving()).await?;
        views.extend(receiving.iter().map(UploadView::receiving).filter(found));
    }
    if filter.state != Some(UploadState::Receiving) {
        let most = if waiting.is_some() { filter.limit as usize } else { UNREGISTERED_MAX };
        for new in spooled(context, known, most).await? {
            let registered = if waiting.is_none() { ask(context, context.store.upload(new.id)).await? } else { None };
            match registered {
                None => views.push(UploadView::spooled(&new, waiting)),
                Some(upload) if upload.seq > newest => views.push(UploadView::new(&upload)),
                Some(_) => {}
            }
        }
        views.retain(|view| wanted(view.state) && found(view));
    }
    Ok(views)
}

/// The newest `most` uploads of the spool, but for those that are `known`.
async fn spooled(context: &Context, known: HashSet<UploadId>, most: usize) -> Result<Vec<NewUpload>> {
    let spool = context.spool();
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
