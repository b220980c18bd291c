//! Which address leads where, and what every request passes on its way in and out.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post, put},
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    Context, actions, caller, content, events, guard, health, known, listing, page, preview, rejects, session, status,
    tus, uploads,
};

/// Of a request that signs in: an object with a token.
const SIGN_IN_BYTES: usize = 4 << 10;

pub(super) fn router(context: Context) -> Router {
    // These count bytes themselves: the framework's limit is for bodies that are held in memory.
    let uploads = Router::new()
        .route("/uploads", post(uploads::by_form))
        .route("/uploads/{name}", put(uploads::raw))
        .route("/upload", post(uploads::original))
        .merge(tus::routes())
        .layer(DefaultBodyLimit::disable());
    // Everything here needs a token, where there are any.
    let guarded = Router::new()
        .merge(uploads)
        .route("/events", get(events::follow))
        .route("/uploads", get(listing::list))
        .route("/uploads/{name}", get(status::show))
        .route("/uploads/{name}/events", get(status::events))
        .route("/uploads/{name}/receipt", get(content::receipt))
        .route("/uploads/{name}/rejects", get(rejects::file))
        .route("/uploads/{name}/rejects/sample", get(rejects::sample))
        .route("/uploads/{name}/content", get(content::content))
        .route("/uploads/{name}/retry", post(actions::retry))
        .route("/uploads/{name}/again", post(actions::again))
        .route("/uploads/{name}/cancel", post(actions::cancel))
        .route("/preview", post(preview::preview))
        .route("/known", post(known::known))
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), caller::needed));
    // These answer strangers, too, and tell others more.
    let session = get(session::show).post(session::begin).delete(session::end);
    let greeting = Router::new()
        .route("/readyz", get(health::ready))
        .route("/session", session.layer(DefaultBodyLimit::max(SIGN_IN_BYTES)))
        .layer(middleware::from_fn_with_state(context.clone(), caller::if_shown));
    Router::new()
        .merge(guarded)
        .merge(greeting)
        // Nothing here is anybody's.
        .route("/livez", get(health::live))
        .merge(page::routes())
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), guard::same_origin))
        .layer(middleware::from_fn_with_state(context.clone(), guard::known_host))
        .layer(middleware::from_fn(guard::headers))
        .layer(middleware::from_fn(guard::log))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .with_state(context)
}
