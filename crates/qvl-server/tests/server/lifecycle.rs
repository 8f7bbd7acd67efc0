//! Many clients, leaving clients, slow clients, full queues, and the end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::{Request, Response};
use crate::support::{Running, alone, ask, data_url, pipeline, start, with};

const CHAT: &str = "/v1/chat/completions";

/// Long enough that a test can do something meanwhile.
fn endless() -> Value {
    with(ask(&[], "Count."), json!({"max_tokens": 20_000, "ignore_eos": true, "stream": true}))
}

/// Begins a stream and waits for its first event.
async fn begin(server: &Running) -> Response {
    let mut response = Request::post(CHAT, endless().to_string()).send(&server.address).await;
    assert_eq!(response.head.status, 200);
    response.chunk().await.unwrap().unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_clients_get_what_each_would_get_alone() {
    let questions =
        ["What colour is the ring?", "Describe the picture.", "Where is the square?", "What is in the picture?"];
    let pictures: Vec<String> = (1..=4).map(|index| format!("demo/heldout/pictures/scene-{index:04}.png")).collect();
    let mut model = pipeline();
    let mut wanted = Vec::new();
    for picture in &pictures {
        for question in questions {
            let answer = alone(&mut model, Some(picture), question, |config| config.max_new_tokens = 48);
            wanted.push((picture, question, answer.text));
        }
    }
    drop(model);
    let server = start(|_| {}).await;
    let asked = wanted.iter().map(|(picture, question, text)| {
        let request = with(ask(&[data_url(picture, "image/png")], question), json!({"max_tokens": 48}));
        let server = &server;
        async move { assert_eq!(server.chat(&request).await.text(), text, "{picture}: {question}") }
    });
    futures_util::future::join_all(asked).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_frees_its_place() {
    let server = start(|options| options.service.max_batch = 1).await;
    let stream = begin(&server).await;
    server.wait_for("qvl_requests_running", "1").await;
    drop(stream);
    server.wait_for("qvl_answers_total{end=\"cancelled\"}", "1").await;
    // One that waits for a whole answer leaves as well.
    let request = Request::post(CHAT, with(endless(), json!({"stream": false})).to_string());
    let whole = timeout(Duration::from_millis(500), request.reply(&server.address)).await;
    assert!(whole.is_err());
    server.wait_for("qvl_answers_total{end=\"cancelled\"}", "2").await;
    let next = server.chat(&with(ask(&[], "Hi"), json!({"max_tokens": 2}))).await;
    assert_eq!(next.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_when_to_come_back() {
    let server = start(|options| (options.service.max_batch, options.service.max_queue) = (1, 1)).await;
    let running = begin(&server).await;
    server.wait_for("qvl_requests_running", "1").await;
    let address = server.address.clone();
    let waiting =
        tokio::spawn(async move { Request::post(CHAT, endless().to_string()).reply(&address).await.status() });
    server.wait_for("qvl_requests_waiting", "1").await;
    let refused = server.chat(&ask(&[], "Hi")).await;
    assert_eq!((refused.status(), refused.head.header("retry-after")), (503, Some("2")));
    assert!(refused.message().contains("try again later"));
    assert_eq!(server.get("/ready").await.status(), 503);
    drop(running);
    waiting.abort();
    server.wait_for("qvl_requests_waiting", "0").await;
    assert_eq!(server.get("/ready").await.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_answers_are_finished_before_the_end() {
    let mut server = start(|_| {}).await;
    let request = with(ask(&[], "Count."), json!({"max_tokens": 60, "ignore_eos": true, "stream": true}));
    let mut response = Request::post(CHAT, request.to_string()).send(&server.address).await;
    response.chunk().await.unwrap().unwrap();
    server.ask_to_stop();
    let text = response.rest().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(text.contains("\"finish_reason\":\"length\""));
    let address = server.address.clone();
    server.ended().await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_last_answers_are_finished_everybody_else_is_sent_away() {
    let mut server = start(|_| {}).await;
    let last = begin(&server).await;
    server.ask_to_stop();
    while server.get("/ready").await.status() == 200 {}
    assert!(server.get("/ready").await.message().contains("the server is stopping"));
    for path in ["/health", "/v1/models", "/metrics"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    for (path, body) in [
        (CHAT, ask(&[], "Hi")),
        (CHAT, with(ask(&[], "Hi"), json!({"stream": true}))),
        ("/v1/completions", json!({"prompt": "Hi"})),
        ("/v1/responses", json!({"input": "Hi"})),
    ] {
        let refused = server.post(path, &body).await;
        assert_eq!((refused.status(), refused.head.header("retry-after")), (503, Some("2")), "{path}");
        assert_eq!(refused.body["error"]["type"], "overloaded_error");
        assert!(refused.message().contains("the server is stopping"));
    }
    // The answer goes on meanwhile.
    server.wait_for("qvl_requests_running", "1").await;
    drop(last);
    let address = server.address.clone();
    server.ended().await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_broken_off_at_the_end() {
    let mut server = start(|options| options.limits.drain_timeout = Duration::from_millis(100)).await;
    let mut stream = begin(&server).await;
    server.ask_to_stop();
    server.ended().await;
    assert!(stream.rest().await.is_err(), "the stream ended as if it were whole");
}

/// What the server says to bytes that stop before the request is whole.
async fn say(server: &Running, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(&server.address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said).await;
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_sent_away() {
    let server = start(|options| {
        options.limits.header_timeout = Duration::from_millis(200);
        options.limits.body_timeout = Duration::from_millis(300);
    })
    .await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n";
    let slow_body = say(&server, format!("{head}\r\n{{\"messages\":").as_bytes()).await;
    assert!(slow_body.starts_with("HTTP/1.1 408"), "{slow_body}");
    // The connection is closed, and without an answer: the request was none yet.
    assert!(!say(&server, head.as_bytes()).await.starts_with("HTTP/1.1 2"));
    assert!(say(&server, b"").await.is_empty());
    assert_eq!(server.get("/health").await.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_given_up() {
    let server = start(|options| options.limits.write_timeout = Duration::from_millis(300)).await;
    let body = with(endless(), json!({"logprobs": true, "top_logprobs": 20, "max_tokens": 32_000})).to_string();
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer is full soon.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(server.address.parse().unwrap()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    server.wait_for("qvl_answers_total{end=\"cancelled\"}", "1").await;
    server.stop().await;
}
