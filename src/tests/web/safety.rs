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
    let named = html.split(['"']).filter(|text| text.starts_with('/'));
    let mut count = 0;
    for path in named {
        assert_eq!(server.client.get(server.url(path)).send().await.unwrap().status(), 200, "{path}");
        count += 1;
    }
    assert_eq!(count, 5, "icon, style, two scripts and the template");
    assert!(!html.contains("<script>") && !html.contains(" style=") && !html.contains(" onclick="));
    for script in ["/page.js", "/view.js"] {
        let text = server.client.get(server.url(script)).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("innerHTML") && !text.contains("insertAdjacentHTML"), "{script} makes markup of text");
    }
}
