//! Bodies: reading JSON within limits of size and time, writing JSON.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use memchr::{memchr, memchr2};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;
use crate::fields::Fields;
use crate::options::ServerLimits;

/// Bodies up to this are parsed at once, others on a thread that may block. They need no room either, since the number of
/// connections bounds them: a short question does not wait for others' pictures.
const SMALL_BYTES: usize = 64 << 10;

/// Values in a body, of all levels together. Each takes some tens of bytes once it is parsed, and may be two in the body.
const MAX_VALUES: usize = 1 << 20;

/// What one permit of [`Bodies`] stands for: memory is counted in such pieces.
const BYTES_PER_PERMIT: usize = 4 << 10;

/// The memory for bodies, of all requests together.
#[derive(Debug, Clone)]
pub(crate) struct Bodies(Arc<Semaphore>);

impl Bodies {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        Self(Arc::new(Semaphore::new(permits(limits.bodies_bytes.max(limits.body_bytes)) as usize)))
    }

    /// Waits until there is room for a body of `bytes`.
    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_many_owned(permits(bytes)).await.ok()
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX)
}

/// The body of a request as JSON.
pub(crate) struct JsonBody {
    /// Its fields.
    pub(crate) fields: Fields,
    /// Held for as long as what was read is in memory; a small one has none.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Reads the body of `request`.
///
/// # Errors
/// If it is not said to be JSON, too large, too slow, or no JSON object, or if there is no room for it.
pub(crate) async fn read_json(request: Request, bodies: &Bodies, limits: &ServerLimits) -> Result<JsonBody, ApiError> {
    if !is_json(request.headers()) {
        return Err(ApiError::unsupported_media_type());
    }
    let bytes = announced_length(request.headers()).unwrap_or(limits.body_bytes);
    if bytes > limits.body_bytes {
        return Err(ApiError::too_large(limits.body_bytes));
    }
    let mut reader = Reader::new(request.into_body(), limits);
    let mut room = None;
    if !reader.read(SMALL_BYTES).await? {
        room = Some(reader.take_room(bytes, bodies).await?);
        reader.read(usize::MAX).await?;
    }
    Ok(JsonBody { fields: Fields::of_request(parse(reader.bytes).await?)?, room })
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body piece by piece, within limits.
struct Reader<'l> {
    body: Limited<Body>,
    bytes: Vec<u8>,
    limits: &'l ServerLimits,
    deadline: Instant,
}

impl<'l> Reader<'l> {
    fn new(body: Body, limits: &'l ServerLimits) -> Self {
        let deadline = Instant::now() + limits.body_timeout;
        Self { body: Limited::new(body, limits.body_bytes), bytes: Vec::new(), limits, deadline }
    }

    /// Reads until more than `enough` bytes are there, or all of them, and says whether it is all.
    async fn read(&mut self, enough: usize) -> Result<bool, ApiError> {
        let seconds = self.limits.body_timeout.as_secs();
        timeout_at(self.deadline, self.read_frames(enough)).await.unwrap_or_else(|_| {
            let what = format!("the body of the request was not there after {seconds} seconds; send it faster");
            Err(ApiError::timeout(what))
        })
    }

    async fn read_frames(&mut self, enough: usize) -> Result<bool, ApiError> {
        while self.bytes.len() <= enough {
            let Some(frame) = self.body.frame().await else { return Ok(true) };
            let frame = frame.map_err(|error| broken(&*error, self.limits))?;
            // What is no data are trailers, which say nothing here.
            if let Ok(data) = frame.into_data() {
                self.bytes.extend_from_slice(&data);
            }
        }
        Ok(false)
    }

    /// Waits for room for `bytes`. That is not the client's time.
    async fn take_room(&mut self, bytes: usize, bodies: &Bodies) -> Result<OwnedSemaphorePermit, ApiError> {
        let start = Instant::now();
        let room = timeout(self.limits.body_timeout, bodies.room(bytes)).await;
        self.deadline += start.elapsed();
        room.map_err(|_| ApiError::no_room_for_body())?.ok_or_else(ApiError::internal)
    }
}

fn broken(error: &(dyn std::error::Error + 'static), limits: &ServerLimits) -> ApiError {
    if error.is::<LengthLimitError>() {
        return ApiError::too_large(limits.body_bytes);
    }
    ApiError::bad_request("the body of the request broke off")
}

async fn parse(bytes: Vec<u8>) -> Result<Value, ApiError> {
    let parse = |bytes: &[u8]| {
        if most_values(bytes) > MAX_VALUES {
            return Err(ApiError::bad_request(format!("the body has more than {MAX_VALUES} values; send fewer")));
        }
        serde_json::from_slice(bytes).map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))
    };
    if bytes.len() <= SMALL_BYTES {
        return parse(&bytes);
    }
    tokio::task::spawn_blocking(move || parse(&bytes)).await.map_err(|_| ApiError::internal())?
}

/// How many values a JSON text can have: one, and one more for each comma and each bracket outside strings.
fn most_values(text: &[u8]) -> usize {
    let more = |text: &[u8]| text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    let (mut values, mut rest) = (1, text);
    while let Some(quote) = memchr(b'"', rest) {
        values += more(&rest[..quote]);
        rest = behind_string(&rest[quote + 1..]);
    }
    values + more(rest)
}

/// What comes after the string that `text` is in: a picture's is so long that it is searched for its end by vectors.
fn behind_string(mut text: &[u8]) -> &[u8] {
    while let Some(index) = memchr2(b'"', b'\\', text) {
        if text[index] == b'"' {
            return &text[index + 1..];
        }
        text = text.get(index + 2..).unwrap_or_default();
    }
    &[]
}

/// An answer with a JSON body.
pub(crate) fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse as _;

    use super::*;

    fn request(media_type: &str, body: &str) -> Request {
        Request::builder().header(CONTENT_TYPE, media_type).body(Body::from(body.to_owned())).unwrap()
    }

    async fn read(media_type: &str, body: &str) -> Result<JsonBody, ApiError> {
        let limits = ServerLimits { body_bytes: 100_000, ..ServerLimits::default() };
        read_json(request(media_type, body), &Bodies::new(&limits), &limits).await
    }

    #[tokio::test]
    async fn json_is_read_whatever_the_spelling_of_its_type() {
        for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
            let mut body = read(media_type, r#"{"n": 1}"#).await.unwrap();
            assert_eq!(body.fields.count("n", 0, 1).unwrap(), Some(1));
        }
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            assert_eq!(
                read(media_type, "{}").await.err().unwrap().into_response().status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            );
        }
    }

    fn text_of(bytes: usize) -> String {
        format!("{{\"a\": \"{}\"}}", "x".repeat(bytes))
    }

    #[tokio::test]
    async fn a_short_body_does_not_wait_for_long_ones() {
        let body_timeout = Duration::from_millis(300);
        let limits =
            ServerLimits { body_bytes: 1 << 20, bodies_bytes: 1 << 20, body_timeout, ..ServerLimits::default() };
        let bodies = Bodies::new(&limits);
        let read = async |text: &str| read_json(request("application/json", text), &bodies, &limits).await;
        let long = read(&text_of(900_000)).await.unwrap();
        assert!(read(&text_of(50_000)).await.unwrap().room.is_none());
        let error = read(&text_of(200_000)).await.err().unwrap();
        assert_eq!(error.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(long);
        assert!(read(&text_of(200_000)).await.unwrap().room.is_some());
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let limits = ServerLimits { body_timeout: Duration::from_millis(10), ..ServerLimits::default() };
        let stream = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let body = Body::from_stream(stream);
        let request = Request::builder().header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let error = read_json(request, &Bodies::new(&limits), &limits).await.err().unwrap();
        assert!(error.to_json()["error"]["message"].as_str().unwrap().contains("send it faster"));
    }

    #[test]
    fn values_are_counted_outside_strings() {
        for (text, values) in [
            ("1", 1),
            ("[]", 2),
            ("[1, 2]", 3),
            (r#"{"a": [1, {"b": "x,[{"}]}"#, 5),
            (r#"["\\",1,"\"",2]"#, 5),
            (r#"["a,\"#, 2),
        ] {
            assert_eq!(most_values(text.as_bytes()), values, "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_beyond_the_limits_is_refused() {
        let large = format!("{{\"a\": \"{}\"}}", "x".repeat(100_000));
        assert_eq!(
            read("application/json", &large).await.err().unwrap().into_response().status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let deep = "[".repeat(50_000);
        let error = read("application/json", &deep).await.err().unwrap();
        assert!(error.to_json()["error"]["message"].as_str().unwrap().contains("recursion limit"));
    }
}
