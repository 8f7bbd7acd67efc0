//! Fetching pictures from servers that behave, and from those that do not.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use qvl_server::remote::{RemoteError, RemoteLimits, RemoteMedia};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A server on loopback: `reply` writes what follows a request's head, and the heads come out of the channel.
async fn server<F, R>(reply: F) -> (SocketAddr, mpsc::UnboundedReceiver<String>)
where
    F: Fn(TcpStream, String) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_head(&mut stream).await;
            let _ = sender.send(head.clone());
            tokio::spawn(reply(stream, head));
        }
    });
    (address, heads)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A server that always writes the same and closes.
async fn fixed(answer: &'static str) -> SocketAddr {
    let write = move |mut stream: TcpStream, _| async move {
        let _ = stream.write_all(answer.as_bytes()).await;
    };
    server(write).await.0
}

async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

fn limits() -> RemoteLimits {
    RemoteLimits { max_bytes: 1000, permitted: vec!["127.0.0.1".parse().unwrap()], ..RemoteLimits::default() }
}

async fn fetch(address: SocketAddr) -> Result<Vec<u8>, RemoteError> {
    RemoteMedia::new(limits()).unwrap().fetch(&format!("http://{address}/picture.png")).await
}

async fn refusal(answer: &'static str) -> String {
    fetch(fixed(answer).await).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_picture_is_fetched_with_a_plain_request() {
    let (address, mut heads) = server(|mut stream, _| async move {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\n\x89P\n").await;
    })
    .await;
    let media = RemoteMedia::new(limits()).unwrap();
    let url = format!("http://127.0.0.1:{}/a%20b.png?size=2#top", address.port());
    assert_eq!(media.fetch(&url).await.unwrap(), b"\x89P\n");
    let head = heads.recv().await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /a%20b.png?size=2 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", address.port())), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n") && head.contains("user-agent: qvl/"), "{head}");
}

#[tokio::test]
async fn bodies_of_every_framing_are_read() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npic\r\n4\r\nture\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: IMAGE/JPEG; charset=binary\r\n\r\npicture",
        "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\npicture",
        "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 7\r\n\r\npicture and more",
    ] {
        assert_eq!(fetch(fixed(answer).await).await.unwrap(), b"picture", "{answer}");
    }
}

#[tokio::test]
async fn no_connection_is_made_to_a_private_address_by_any_spelling() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let (address, _) = server(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        async {}
    })
    .await;
    let media = RemoteMedia::new(RemoteLimits::default()).unwrap();
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "１２７.０.０.１",
        "127。0。0。1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "ｌｏｃａｌｈｏｓｔ",
        "%6cocalhost",
        "name.invalid",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let error = media.fetch(&format!("http://{host}:{}/", address.port())).await.unwrap_err();
        assert!(error.to_string().contains("no public address"), "{host}: {error}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn redirects_are_followed_and_checked_like_the_first_url() {
    let (address, _) = server(|mut stream, head| async move {
        let answer = match head.split(' ').nth(1).unwrap_or_default() {
            "/picture.png" => "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\npicture".to_owned(),
            "/three" => redirect("two"),
            "/two" => redirect("/one"),
            "/one" => redirect("picture.png"),
            other => redirect(other.trim_start_matches("/to:")),
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let media = RemoteMedia::new(limits()).unwrap();
    let fetch = async |path: &str| media.fetch(&format!("http://{address}/{path}")).await;
    assert_eq!(fetch("three").await.unwrap(), b"picture");
    assert!(matches!(fetch("to:three").await, Err(RemoteError::Redirects(3))));
    for private in ["http://127.0.0.2/", "//10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/"] {
        let error = fetch(&format!("to:{private}")).await.unwrap_err();
        assert!(error.to_string().contains("no public address"), "{private}: {error}");
    }
    assert!(matches!(fetch("to:file:///etc/passwd").await, Err(RemoteError::Scheme)));
    assert!(matches!(fetch("to:http://user@127.0.0.1/").await, Err(RemoteError::Url(_))));
    assert!(matches!(fetch("to:http://127.0.0.1:25/").await, Err(RemoteError::Port(25))));
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn answers_that_are_no_picture_are_refused() {
    assert!(refusal("HTTP/1.1 404 Not Found\r\n\r\n").await.contains("answered with status 404"));
    assert!(refusal("HTTP/1.1 206 Partial Content\r\n\r\npic").await.contains("answered with status 206"));
    assert!(refusal("HTTP/1.1 302 Found\r\n\r\n").await.contains("redirects to what is no URL"));
    assert!(refusal("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>").await.contains("gives no picture"));
    assert!(refusal("HTTP/1.1 200 OK\r\nContent-Type: \r\n\r\npicture").await.contains("gives no picture"));
    let packed = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip\r\n\r\n\x1f";
    assert!(refusal(packed).await.contains("with a content encoding"));
    for broken in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npicture",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\npicture",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\npicture",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\npicture",
    ] {
        assert!(refusal(broken).await.contains("did not send a whole answer"), "{broken}");
    }
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let (address, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: ").await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    })
    .await;
    assert!(matches!(fetch(address).await, Err(RemoteError::Broken(_))));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_it_says_so_or_not() {
    for length in ["1001", "1000000000000000000"] {
        let (address, _) = server(move |mut stream, _| async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            hold(stream).await;
        })
        .await;
        assert!(fetch(address).await.unwrap_err().to_string().contains("more than 1000 bytes"), "{length}");
    }
    let (endless, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n").await;
        while stream.write_all(&[0; 100]).await.is_ok() {}
    })
    .await;
    assert!(matches!(fetch(endless).await, Err(RemoteError::TooLarge(1000))));
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let (address, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
        let _ = stream.write_all(&[7; 1000]).await;
    })
    .await;
    assert_eq!(fetch(address).await.unwrap(), vec![7; 1000]);
}

#[tokio::test]
async fn time_has_a_limit_wherever_it_is_spent() {
    let media = RemoteMedia::new(RemoteLimits { time: Duration::from_millis(300), ..limits() }).unwrap();
    let (silent, _) = server(|stream, _| hold(stream)).await;
    let (dripping, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n").await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for address in [silent, dripping] {
        let error = media.fetch(&format!("http://{address}/")).await.unwrap_err();
        assert_eq!(error.to_string(), "this URL did not give its picture within 0.3 seconds");
    }
}

#[tokio::test]
async fn a_turn_is_waited_for_and_given_back_by_a_caller_that_leaves() {
    let limits = RemoteLimits { at_once: 1, time: Duration::from_secs(600), ..limits() };
    let media = Arc::new(RemoteMedia::new(limits).unwrap());
    let (silent, mut heads) = server(|stream, _| hold(stream)).await;
    let picture = format!("http://{}/", fixed("HTTP/1.1 200 OK\r\n\r\npicture").await);
    let stuck = tokio::spawn({
        let media = Arc::clone(&media);
        async move { media.fetch(&format!("http://{silent}/")).await }
    });
    heads.recv().await.unwrap();
    let mut waiting = Box::pin(media.fetch(&picture));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    stuck.abort();
    assert_eq!(waiting.await.unwrap(), b"picture");
}
