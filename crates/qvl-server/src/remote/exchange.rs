//! One request and its answer, within limits.

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION,
    USER_AGENT,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::RemoteError;
use super::connection::Stream;
use super::target::Target;

/// Bytes of headers that are read, and so the memory that they can take.
const HEADER_BYTES: usize = 64 * 1024;

/// What a request led to.
pub(super) enum Reply {
    /// The picture, if it is one.
    Bytes(Vec<u8>),
    /// Another place to look.
    Redirect(Target),
}

/// Asks for `target` and reads at most `limit` bytes.
pub(super) async fn exchange(stream: Box<dyn Stream>, target: &Target, limit: usize) -> Result<Reply, RemoteError> {
    let mut client = http1::Builder::new();
    client.max_buf_size(HEADER_BYTES);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(RemoteError::Broken)?;
    // The set ends the connection whichever way this function is left, by an error or by the caller's time limit.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request(target)?).await.map_err(RemoteError::Broken)?;
    if response.status().is_redirection() {
        return redirect(target, response.headers()).map(Reply::Redirect);
    }
    if response.status() != 200 {
        return Err(RemoteError::Status(response.status().as_u16()));
    }
    check_headers(response.headers())?;
    read(response, limit).await.map(Reply::Bytes)
}

fn request(target: &Target) -> Result<Request<Empty<Bytes>>, RemoteError> {
    Request::get(target.path_and_query())
        .header(HOST, target.authority())
        .header(USER_AGENT, concat!("qvl/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "image/*")
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_| RemoteError::Url("its path has characters that a request cannot have"))
}

fn redirect(target: &Target, headers: &HeaderMap) -> Result<Target, RemoteError> {
    target.redirect(text(headers, LOCATION).ok_or(RemoteError::Location)?)
}

/// Refuses what says that it is not a picture as it is stored. Whether it is one, its bytes tell the decoder.
fn check_headers(headers: &HeaderMap) -> Result<(), RemoteError> {
    let encoded = headers.contains_key(CONTENT_ENCODING) && text(headers, CONTENT_ENCODING) != Some("identity");
    if encoded {
        return Err(RemoteError::ContentEncoding);
    }
    if !headers.contains_key(CONTENT_TYPE) {
        return Ok(());
    }
    let kind = text(headers, CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    // The last is what object stores say where nothing was set.
    if kind.starts_with("image/") || kind == "application/octet-stream" || kind == "binary/octet-stream" {
        return Ok(());
    }
    Err(RemoteError::ContentType)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads the body. A stated length is believed only where it is too large: memory grows with what arrives.
async fn read(response: Response<Incoming>, limit: usize) -> Result<Vec<u8>, RemoteError> {
    let mut body = response.into_body();
    if body.size_hint().lower() > limit as u64 {
        return Err(RemoteError::TooLarge(limit));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(RemoteError::Broken)?.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(RemoteError::TooLarge(limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
