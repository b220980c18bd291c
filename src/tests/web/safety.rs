//! What keeps other sites' pages out, and the page itself.

use crate::harness::{Server, USERS};

#[tokio::test]
async fn another_site_s_page_cannot_send_or_change_anything() {
    let server = Server::start().await;
    let id = server.upload("a.csv", USERS).await;
    let own = format!("http://{}", server.address);
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 201),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", own.as_str(), 201),
    ] {
        let request = server.client.put(server.url("/uploads/a.csv")).header(name, value).body(USERS);
        assert_eq!(request.send().await.unwrap().status(), status, "{name}: {value}");
    }
    let cancel =
        server.client.post(server.url(&format!("/uploads/{id}/cancel"))).header("origin", "https://evil.example");
    assert_eq!(cancel.send().await.unwrap().status(), 403);
    assert_eq!(server.get(&format!("/uploads/{id}")).await.1["state"], "received");
}

#[tokio::test]
async fn a_host_name_of_somebody_else_is_not_answered() {
    let server = Server::start().await;
    for (host, status) in [
        ("localhost:9000", 200),
        ("LOCALHOST", 200),
        ("users.example.org", 200),
        ("192.168.1.5:9000", 200),
        ("[::1]:9000", 200),
        ("rebind.evil.example", 421),
        ("localhost.evil.example", 421),
    ] {
        let response = server.client.get(server.url("/livez")).header("host", host).send().await.unwrap();
        assert_eq!(response.status(), status, "{host}");
    }
}

#[tokio::test]
async fn the_page_is_served_with_all_its_files_and_runs_nothing_foreign() {
    let server = Server::start().await;
    let page = server.client.get(server.url("/")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let html = page.text().await.unwrap();
    assert!(html.contains("<title>User Data Management</title>"));
    let mut wanted: Vec<String> = named(&html).filter(|path| path.starts_with('/')).map(str::to_owned).collect();
    assert!(wanted.len() >= 4, "icon, style, script and the template: {wanted:?}");
    // What the scripts name in turn.
    let mut seen = Vec::new();
    while let Some(path) = wanted.pop() {
        let answer = server.client.get(server.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.unwrap();
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "cssText"] {
            assert!(!text.contains(forbidden), "{path} makes markup or code of text: {forbidden}");
        }
        let imported = named(&text).filter_map(|name| name.strip_prefix("./")).map(|name| format!("/page/{name}"));
        wanted.extend(imported.filter(|path| path.ends_with(".js") && !seen.contains(path)));
        seen.push(path);
    }
    assert!(seen.len() >= 20, "{seen:?}");
    assert!(!html.contains("<script>") && !html.contains(" style=") && !html.contains(" onclick="));
}

/// Everything between double quotes.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}
