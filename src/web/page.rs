//! The page: files without a build step, inside the executable.

use axum::{
    Router,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};

use crate::example;

use super::Context;

type File = ([(HeaderName, &'static str); 2], &'static str);

const fn file(media_type: &'static str, text: &'static str) -> File {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")], text)
}

const INDEX: File = file("text/html; charset=utf-8", include_str!("page/index.html"));
const STYLE: File = file("text/css; charset=utf-8", include_str!("page/page.css"));
const SCRIPT: File = file("text/javascript; charset=utf-8", include_str!("page/page.js"));
const VIEW: File = file("text/javascript; charset=utf-8", include_str!("page/view.js"));
const ICON: File = file("image/svg+xml", include_str!("page/favicon.svg"));

async fn serve(file: File) -> impl IntoResponse {
    file
}

/// A file with every kind of row, to fill in or to try.
async fn example() -> impl IntoResponse {
    let attachment = format!("attachment; filename=\"{}\"", example::NAME);
    (
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, attachment)],
        example::CSV,
    )
}

pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/", get(|| serve(INDEX)))
        .route("/page.css", get(|| serve(STYLE)))
        .route("/page.js", get(|| serve(SCRIPT)))
        .route("/view.js", get(|| serve(VIEW)))
        .route("/example.csv", get(example))
        .route("/favicon.svg", get(|| serve(ICON)))
        .route("/favicon.ico", get(|| serve(ICON)))
}
