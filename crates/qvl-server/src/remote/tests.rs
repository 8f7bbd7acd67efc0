//! What needs a resolver or authorities of the test's own. The rest is in `tests/remote.rs`.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::error::ApiError;
use crate::media::{Loader, Sources};
use crate::options::ServerLimits;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 7\r\n\r\npicture";

/// Gives its answers one after the other, the last for ever, and counts the questions.
struct Scripted {
    answers: Vec<Vec<SocketAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Resolver for Scripted {
    fn addresses<'a>(
        &'a self,
        _: &'a str,
        _: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(Ok(self.answers[turn.min(self.answers.len() - 1)].clone())))
    }
}

fn media(permitted: &str, answers: &[&[SocketAddr]], roots: RootCertStore) -> (RemoteMedia, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answers = answers.iter().map(|answer| answer.to_vec()).collect();
    let limits = RemoteLimits { permitted: vec![permitted.parse().unwrap()], ..RemoteLimits::default() };
    let resolver = Scripted { answers, asked: Arc::clone(&asked) };
    (RemoteMedia::with(limits, Box::new(resolver), roots).unwrap(), asked)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(ANSWER).await;
    let _ = stream.shutdown().await;
}

/// A server on a port of its own that answers every connection, and how many there were.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(stream));
        }
    });
    (address, connections)
}

/// A server with a certificate for `name`, which nobody but itself vouches for.
async fn tls_server(name: &str) -> (SocketAddr, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream).await;
            }
        }
    });
    (address, cert.der().clone())
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_its_checked_address_is_used() {
    let (address, connections) = server().await;
    let elsewhere = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
    // The name means the permitted address when it is checked and another one whenever it is asked again.
    let (media, asked) = media("127.0.0.1", &[&[address], &[elsewhere]], RootCertStore::empty());
    let url = format!("http://rebinding.example:{}/", address.port());
    assert_eq!(media.fetch(&url).await.unwrap(), b"picture");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert!(matches!(media.fetch(&url).await, Err(RemoteError::Address(None))));
}

#[tokio::test]
async fn one_private_address_spoils_a_name() {
    let (address, connections) = server().await;
    let private = SocketAddr::new("10.0.0.1".parse().unwrap(), address.port());
    for addresses in [&[address, private][..], &[private, address], &[private], &[]] {
        let (media, _) = media("127.0.0.1", &[addresses], RootCertStore::empty());
        let error = media.fetch(&format!("http://mixed.example:{}/", address.port())).await.unwrap_err();
        assert!(error.to_string().contains("no public address"), "{error}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_the_turn_to_the_next() {
    let (address, _) = server().await;
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (media, _) = media("127.0.0.1", &[&[unused, address]], RootCertStore::empty());
    assert_eq!(media.fetch(&format!("http://two.example:{}/", address.port())).await.unwrap(), b"picture");
}

#[tokio::test]
async fn https_needs_a_trusted_certificate_for_the_name() {
    let (address, certificate) = tls_server("pictures.example").await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let (trusting, _) = media("127.0.0.1", &[&[address]], roots);
    for host in ["pictures.example", "pictures.example."] {
        assert_eq!(trusting.fetch(&format!("https://{host}:{}/", address.port())).await.unwrap(), b"picture");
    }
    let (stranger, _) = media("127.0.0.1", &[&[address]], RootCertStore::empty());
    for (media, host) in [(&trusting, "other.example"), (&trusting, "127.0.0.1"), (&stranger, "pictures.example")] {
        let error = media.fetch(&format!("https://{host}:{}/", address.port())).await.unwrap_err();
        assert!(error.to_string().contains("its certificate is not trusted"), "{error}");
    }
}

#[tokio::test]
async fn all_pictures_of_a_request_have_one_limit_and_one_turn() {
    let (address, connections) = server().await;
    let (media, _) = media("127.0.0.1", &[&[address]], RootCertStore::empty());
    let limits = ServerLimits { body_bytes: 15, body_timeout: Duration::from_millis(500), ..ServerLimits::default() };
    let fetch = async |pictures: usize| {
        let mut sources = Sources::new(&limits);
        for picture in 0..pictures {
            sources
                .image(format!("picture {picture}"), format!("http://pictures.example:{}/", address.port()))
                .unwrap();
        }
        Loader::fetch(sources.into_list(), Some(&media), &limits).await
    };
    let message = |error: ApiError| error.to_json()["error"]["message"].as_str().unwrap().to_owned();
    // Seven bytes each.
    let said = message(fetch(3).await.unwrap_err());
    assert_eq!(said, "picture 2: the pictures of the request have more than 15 bytes; give fewer or smaller ones");
    let mut held = Vec::new();
    for _ in 0..media.limits.at_once {
        held.push(fetch(2).await.unwrap());
    }
    let before = connections.load(Ordering::Relaxed);
    let said = message(fetch(1).await.unwrap_err());
    assert!(said.contains("not fetched within"), "{said}");
    assert_eq!(connections.load(Ordering::Relaxed), before);
    held.pop();
    fetch(1).await.unwrap();
}
