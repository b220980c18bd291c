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

macro_rules! text {
    ($media_type:literal, $name:literal) => {
        (concat!("/page/", $name), file($media_type, include_str!(concat!("page/", $name))))
    };
}

const INDEX: File = file("text/html; charset=utf-8", include_str!("page/index.html"));
const ICON: File = file("image/svg+xml", include_str!("page/favicon.svg"));

/// Style and scripts: each module is a file of its own, and the browser puts them together.
const PARTS: [(&str, File); 23] = [
    text!("text/css; charset=utf-8", "page.css"),
    text!("text/javascript; charset=utf-8", "actions.js"),
    text!("text/javascript; charset=utf-8", "again.js"),
    text!("text/javascript; charset=utf-8", "begun.js"),
    text!("text/javascript; charset=utf-8", "card.js"),
    text!("text/javascript; charset=utf-8", "chosen.js"),
    text!("text/javascript; charset=utf-8", "dom.js"),
    text!("text/javascript; charset=utf-8", "ends.js"),
    text!("text/javascript; charset=utf-8", "form.js"),
    text!("text/javascript; charset=utf-8", "history.js"),
    text!("text/javascript; charset=utf-8", "kept.js"),
    text!("text/javascript; charset=utf-8", "live.js"),
    text!("text/javascript; charset=utf-8", "main.js"),
    text!("text/javascript; charset=utf-8", "parts.js"),
    text!("text/javascript; charset=utf-8", "preview.js"),
    text!("text/javascript; charset=utf-8", "rejects.js"),
    text!("text/javascript; charset=utf-8", "remembered.js"),
    text!("text/javascript; charset=utf-8", "sending.js"),
    text!("text/javascript; charset=utf-8", "server.js"),
    text!("text/javascript; charset=utf-8", "session.js"),
    text!("text/javascript; charset=utf-8", "tus.js"),
    text!("text/javascript; charset=utf-8", "view.js"),
    text!("text/javascript; charset=utf-8", "words.js"),
];

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
    let router = Router::new()
        .route("/", get(|| serve(INDEX)))
        .route("/example.csv", get(example))
        .route("/favicon.svg", get(|| serve(ICON)))
        .route("/favicon.ico", get(|| serve(ICON)));
    PARTS.into_iter().fold(router, |router, (path, file)| router.route(path, get(move || serve(file))))
}
