//! Which address leads where, and what every request passes on its way in and out. A route that is added here is in
//! the API's description.

use std::sync::Arc;

use axum::{Extension, Router, extract::DefaultBodyLimit, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

use super::{
    Context, actions, caller, content, events, guard, health, known, listing, openapi, page, preview, rejects, session,
    status, tus, uploads,
};

/// Of a request that signs in: an object with a token.
const SIGN_IN_BYTES: usize = 4 << 10;

pub(super) fn router(context: Context) -> Router {
    let (guarded, mut api) = guarded(&context).split_for_parts();
    openapi::with_common(&mut api, true);
    let guarded = guarded
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), caller::needed));
    let (greeting, of_greeting) = greeting(&context).split_for_parts();
    let greeting = greeting.layer(middleware::from_fn_with_state(context.clone(), caller::if_shown));
    let (open, mut of_open) = open().split_for_parts();
    of_open.merge(of_greeting);
    openapi::with_common(&mut of_open, false);
    api.merge(of_open);
    // It is made of what is text already.
    let document = openapi::Document(Arc::from(api.to_json().unwrap_or_default()));
    Router::new()
        .merge(guarded)
        .merge(greeting)
        .merge(open.layer(Extension(document)))
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

/// Everything here needs a token, where there are any.
fn guarded(context: &Context) -> OpenApiRouter<Context> {
    // These count bytes themselves, and the time between them: the limits of others are for bodies held in memory.
    let uploads = OpenApiRouter::new()
        .routes(routes!(uploads::by_form))
        .routes(routes!(uploads::raw))
        .routes(routes!(uploads::original))
        .merge(tus::routes())
        .layer(DefaultBodyLimit::disable());
    let others = OpenApiRouter::new()
        .routes(routes!(preview::preview))
        .routes(routes!(known::known))
        .routes(routes!(events::follow))
        .routes(routes!(listing::list))
        .routes(routes!(status::show))
        .routes(routes!(status::events))
        .routes(routes!(content::receipt))
        .routes(routes!(rejects::file))
        .routes(routes!(rejects::sample))
        .routes(routes!(content::content))
        .routes(routes!(actions::retry))
        .routes(routes!(actions::again))
        .routes(routes!(actions::cancel))
        .route_layer(middleware::from_fn_with_state(context.clone(), guard::body_in_time));
    OpenApiRouter::with_openapi(openapi::shared()).merge(uploads).merge(others)
}

/// These answer strangers, too, and tell others more.
fn greeting(context: &Context) -> OpenApiRouter<Context> {
    let session = routes!(session::show, session::begin, session::end);
    OpenApiRouter::new()
        .routes(routes!(health::ready))
        .routes(session.layer(DefaultBodyLimit::max(SIGN_IN_BYTES)))
        .route_layer(middleware::from_fn_with_state(context.clone(), guard::body_in_time))
}

/// Nothing here is anybody's.
fn open() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(openapi::openapi))
}
