//! The README's routes, asked of a server that has uploads.

use reqwest::{Method, StatusCode, multipart};
use serde_json::Value;
use userdata::example;

use super::named;
use crate::world::{Server, World};

/// The upload that a route asks for: `retry` wants one that failed, `cancel` one that nobody works on.
async fn upload_for(path: &str, server: &Server, idle: &Server) -> String {
    let (server, query, state): (_, &[(&str, &str)], _) = match path.rsplit('/').next() {
        Some("retry") => (server, &[("max_rejects", "0")], "failed"),
        Some("cancel") => (idle, &[], "received"),
        _ => (server, &[], "done"),
    };
    let id = server.put("users.csv", example::CSV, query).await;
    server.until_state(&id, state).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_in_the_readme_answers() {
    let world = World::embedded();
    let server = world.serve().await;
    let mut idle = World::embedded();
    idle.set("queue", "kind = \"kafka\"");
    idle.set("queue.kafka", "brokers = \"127.0.0.1:9\"");
    let idle = idle.serve().await;
    let routes = named().routes;
    assert!(routes.len() >= 10, "{routes:?}");
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let id = upload_for(path, &server, &idle).await;
        let asked = if path.ends_with("/cancel") { &idle } else { &server };
        let size = example::CSV.len().to_string();
        let filled = path.replace("{id}", &id).replace("{filename}", "users.csv").replace("{size}", &size);
        assert!(!filled.contains(['{', '<', '…']), "what stands for what in `{route}`?");
        let request = asked.http.request(method.parse::<Method>().unwrap(), format!("{}{filled}", asked.url));
        let part = || multipart::Part::bytes(example::CSV).file_name("users.csv");
        let request = match (method, path) {
            ("POST", "/uploads") => request.multipart(multipart::Form::new().part("file", part())),
            ("POST", "/upload") => request.multipart(multipart::Form::new().part("csvdata", part())),
            ("POST", "/files") => {
                let request = request.header("tus-resumable", "1.0.0").header("upload-length", example::CSV.len());
                request.header("content-type", "application/offset+octet-stream").body(example::CSV)
            }
            ("POST", "/preview" | "/known?size={size}") | ("PUT", _) => request.body(example::CSV),
            _ => request,
        };
        let answer = request.send().await.unwrap();
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        let text = String::from_utf8_lossy(&body);
        assert!(status.is_success() && (!body.is_empty() || path == "/files"), "{route}: {status}\n{text}");
        if path.starts_with("/events") {
            assert!(text.contains("event: upload\ndata: {") && text.contains(&id), "{route}: {text}");
        }
        let new = location.as_deref().and_then(|location| location.rsplit('/').next());
        came_true(&route, asked, &id, new, status, serde_json::from_slice(&body).unwrap_or_default()).await;
    }
}

/// `new`: the upload that the answer's address leads to.
async fn came_true(route: &str, server: &Server, id: &str, new: Option<&str>, status: StatusCode, answer: Value) {
    let named = answer["id"].as_str().or(answer["uploadmessage"]["uuid"].as_str());
    let new = new.or(named).unwrap_or_default();
    match route.rsplit('/').next().unwrap() {
        "upload" | "uploads" | "files" | "{filename}" | "again" if !route.starts_with("GET") => {
            assert!(new != id && (status == 201 || route == "POST /upload"), "{route}: {answer}");
            assert_eq!(server.until_state(new, "done").await["read"], 21);
        }
        "cancel" => assert_eq!(server.upload(id).await["state"], "cancelled"),
        "retry" => assert_ne!(answer["state"], "failed", "{answer}"),
        "{id}" => assert_eq!((new, &answer["state"]), (id, &"done".into())),
        "uploads" => assert!(answer["uploads"].as_array().unwrap().iter().any(|upload| upload["id"] == id)),
        "known?size={size}" => assert!(answer["uploads"].as_array().unwrap().iter().any(|upload| upload["id"] == id)),
        "sample" => assert!(answer["rejects"][0]["count"].as_u64() > Some(0), "{answer}"),
        "receipt" => assert_eq!(answer["read"], 21, "{answer}"),
        "events" => assert!(!answer["events"].as_array().unwrap().is_empty()),
        "readyz" => assert_eq!(answer["status"], "ready", "{answer}"),
        // That it answers with something is all there is to say.
        _ => {}
    }
}
