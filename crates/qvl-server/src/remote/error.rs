//! Why a picture was not fetched.

use std::io;

use thiserror::Error;

/// Why a picture was not fetched.
///
/// The texts are meant for whoever named the URL. They say nothing about the network that the server is in: a name that does
/// not exist and one that leads to a private address give the same text. The sources are for the server's log.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// Not a URL, or one with characters that programs read in different ways.
    #[error("this is not a URL that pictures are fetched from: {0}")]
    Url(&'static str),
    /// Another scheme than `http` and `https`.
    #[error("pictures are fetched over http and https only; send others as data: URLs")]
    Scheme,
    /// A port that belongs to another protocol.
    #[error("pictures are not fetched from port {0}; use 80, 443 or one from 1024 upwards")]
    Port(u16),
    /// The host's name leads nowhere, or to an address that is not a public one.
    #[error(
        "the host of this URL has no public address; pictures are not fetched from private, local or reserved addresses"
    )]
    Address(#[source] Option<io::Error>),
    /// No connection, or no TLS on it.
    #[error("the host of this URL cannot be reached, or its certificate is not trusted")]
    Connect(#[source] io::Error),
    /// An answer other than the picture or a redirect.
    #[error("the host of this URL answered with status {0}")]
    Status(u16),
    /// A redirect that leads nowhere.
    #[error("the host of this URL redirects to what is no URL")]
    Location,
    /// Redirects without an end.
    #[error("this URL redirects more than {0} times")]
    Redirects(usize),
    /// Something that says that it is not a picture.
    #[error("this URL gives no picture: its content type is neither image/* nor application/octet-stream")]
    ContentType,
    /// A compressed body; it is not asked for and not unpacked.
    #[error("the host of this URL sends the picture with a content encoding; none was asked for")]
    ContentEncoding,
    /// More bytes than are read.
    #[error("this URL gives more than {0} bytes; use a smaller file")]
    TooLarge(usize),
    /// More time than is spent.
    #[error("this URL did not give its picture within {0} seconds")]
    TooSlow(f32),
    /// An answer that is not HTTP, or that ends too early.
    #[error("the host of this URL did not send a whole answer")]
    Broken(#[source] hyper::Error),
    /// TLS cannot be used at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
