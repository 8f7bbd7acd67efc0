//! What surrounds the answers: models, health, metrics, keys, origins, the page.

use serde_json::json;

use crate::client::Request;
use crate::support::{Running, ask, start, with};

#[tokio::test(flavor = "multi_thread")]
async fn the_model_is_listed_and_known_by_its_name() {
    let server = start(|options| options.model_name = "org/name".to_owned()).await;
    let list = server.get("/v1/models").await;
    assert_eq!((&list.body["object"], &list.body["data"][0]["id"]), (&json!("list"), &json!("org/name")));
    assert_eq!(server.get("/v1/models/org/name").await.body, list.body["data"][0]);
    let other = server.get("/v1/models/other").await;
    assert_eq!((other.status(), &other.body["error"]["code"]), (404, &json!("model_not_found")));
    let chat = server.chat(&with(ask(&[], "Hi"), json!({"model": "other"}))).await;
    assert_eq!((chat.status(), &chat.body["error"]["code"]), (404, &json!("model_not_found")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_told() {
    let server = start(|_| {}).await;
    assert_eq!((server.get("/health").await.status(), server.get("/ready").await.status()), (200, 200));
    assert_eq!(server.chat(&with(ask(&[], "Hi"), json!({"max_tokens": 3, "ignore_eos": true}))).await.status(), 200);
    assert_eq!(server.chat(&json!({})).await.status(), 400);
    for (metric, value) in [
        ("qvl_http_requests_total{endpoint=\"/v1/chat/completions\",status=\"200\"}", "1"),
        ("qvl_http_requests_total{endpoint=\"/v1/chat/completions\",status=\"400\"}", "1"),
        ("qvl_answers_total{end=\"finished\"}", "1"),
        ("qvl_generated_tokens_total", "3"),
        ("qvl_time_to_first_token_seconds_count", "1"),
        ("qvl_time_per_token_seconds_count", "2"),
    ] {
        server.wait_for(metric, value).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_wanted_for_all_that_computes() {
    let server = start(|options| options.api_keys = vec!["one".to_owned(), "two".to_owned()]).await;
    for path in ["/health", "/ready", "/"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    for path in ["/v1/models", "/metrics"] {
        let refused = server.get(path).await;
        assert_eq!((refused.status(), refused.head.header("www-authenticate")), (401, Some("Bearer")));
        assert!(refused.message().contains("Authorization: Bearer KEY"));
    }
    assert_eq!(server.chat(&ask(&[], "Hi")).await.status(), 401);
    for (value, status) in
        [("Bearer one", 200), ("bearer two", 200), ("Bearer three", 401), ("one", 401), ("Bearer ", 401)]
    {
        let reply = Request::get("/v1/models").header("Authorization", value).reply(&server.address).await;
        assert_eq!(reply.status(), status, "{value}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_are_let_in_by_name_only() {
    let closed = start(|_| {}).await;
    let open = start(|options| options.cors_origins = vec!["https://a.example".to_owned()]).await;
    let allowed = async |server: &Running, origin: &str| {
        let request = Request::new("OPTIONS", "/v1/chat/completions")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization, content-type");
        let reply = request.reply(&server.address).await;
        reply.head.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed(&closed, "https://a.example").await, None);
    assert_eq!(allowed(&open, "https://a.example").await.as_deref(), Some("https://a.example"));
    assert_eq!(allowed(&open, "https://b.example").await, None);
    closed.stop().await;
    open.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_else_gave_the_server_is_refused() {
    let closed = start(|_| {}).await;
    let listed = start(|options| options.allowed_hosts = vec!["qvl.example".to_owned()]).await;
    let keyed = start(|options| options.api_keys = vec!["key".to_owned()]).await;
    let status = async |server: &Running, path: &str, hosts: &str| {
        let request = Request::get(path).header("Authorization", "Bearer key").of_host(hosts);
        request.reply(&server.address).await.status()
    };
    let evil = "Host: evil.example:8080\r\n";
    for path in ["/", "/v1/models", "/metrics", "/nothing"] {
        let refused = Request::get(path).of_host(evil).reply(&closed.address).await;
        assert_eq!((refused.status(), &refused.body["error"]["code"]), (421, &json!("unknown_host")), "{path}");
        assert!(refused.message().contains("\"evil.example:8080\"") && refused.message().contains("--allowed-host"));
    }
    let question = Request::post("/v1/chat/completions", ask(&[], "Hi").to_string()).of_host(evil);
    assert_eq!(question.reply(&closed.address).await.status(), 421);
    for (hosts, alone, among_listed) in [
        ("Host: 127.0.0.1\r\n", 200, 200),
        ("Host: [::1]:80\r\n", 200, 200),
        ("Host: QVL.example\r\n", 421, 200),
        ("Host: localhost\r\nHost: evil.example\r\n", 421, 421),
        ("Host: \r\n", 421, 421),
        ("Host: \u{e9}\r\n", 421, 421),
        // No browser leaves it out.
        ("", 200, 200),
    ] {
        assert_eq!(status(&closed, "/v1/models", hosts).await, alone, "{hosts}");
        assert_eq!(status(&listed, "/v1/models", hosts).await, among_listed, "{hosts}");
        assert_eq!(status(&keyed, "/v1/models", hosts).await, 200, "{hosts}");
    }
    let whole = Request::get("http://evil.example/v1/models").reply(&closed.address).await;
    assert_eq!(whole.status(), 421);
    // Those who look after a server may call it what they like.
    for path in ["/health", "/ready"] {
        assert_eq!(status(&closed, path, evil).await, 200, "{path}");
    }
    for server in [closed, listed, keyed] {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_under_a_strict_policy() {
    let server = start(|_| {}).await;
    let page = server.get("/").await;
    assert_eq!(page.head.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.head.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"));
    let html = page.body.as_str().unwrap();
    let own = html.split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css") || part.ends_with(".svg"));
    let own: Vec<&str> = own.collect();
    assert!(own.len() > 2, "{own:?}");
    for path in own {
        let file = server.get(&format!("/{path}")).await;
        assert_eq!(file.status(), 200, "{path}");
        assert_ne!(file.head.header("content-type"), Some("application/octet-stream"), "{path}");
    }
    for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/css/", "/nothing.js", "/v2/chat"] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
    server.stop().await;
}
