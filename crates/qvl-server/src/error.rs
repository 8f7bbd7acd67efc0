//! Errors as clients of OpenAI's API expect them: `{"error": {"message", "type", "param", "code"}}`.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::body::json_response;

/// Longest message that is sent; what clients wrote is quoted in some.
const MAX_MESSAGE_CHARS: usize = 600;

/// Seconds after which a client may try again when the queue is full.
const RETRY_SECONDS: u64 = 2;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    /// The field that is wrong, as a path: `messages[0].content`.
    param: Option<String>,
    code: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let message = match message.char_indices().nth(MAX_MESSAGE_CHARS) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None => message,
        };
        Self { status, message, param: None, code: None }
    }

    /// The request is wrong.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The field `param` of the request is wrong; `what` continues a sentence that begins with its name.
    pub(crate) fn field(param: impl Into<String>, what: impl std::fmt::Display) -> Self {
        let param = param.into();
        Self { param: Some(param.clone()), ..Self::bad_request(format!("{param}: {what}")) }
    }

    /// The prompt and the model's context do not fit.
    pub(crate) fn prompt_too_long(tokens: usize, limit: usize) -> Self {
        Self::bad_request(format!(
            "the prompt has {tokens} tokens, the limit is {limit}; shorten it, give fewer pictures, or lower \
             mm_processor_kwargs.max_pixels"
        ))
        .code("context_length_exceeded")
    }

    /// No key, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "this server wants a key: send the header `Authorization: Bearer KEY` with a right one",
        )
        .code("invalid_api_key")
    }

    /// The request names a host that the server is not known to be.
    pub(crate) fn unknown_host(named: &str) -> Self {
        let named: String = named.chars().take(100).collect();
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "the request is for {named:?}, and this server does not answer to that name; if it is one of its own, \
                 start it with --allowed-host"
            ),
        )
        .code("unknown_host")
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The path is right and the method is not.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method; see the documentation")
    }

    /// The body came too slowly.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// The body is too large.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body of the request has more than {limit} bytes; give fewer or smaller pictures"),
        )
    }

    /// The head of the request is too large.
    pub(crate) fn headers_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!("the headers of the request have more than {limit} bytes; send fewer"),
        )
    }

    /// The body is not said to be JSON.
    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the body as JSON, with the header `Content-Type: application/json`",
        )
    }

    /// As many requests wait as may wait.
    pub(crate) fn queue_full() -> Self {
        Self::busy("as many requests are waiting as may wait; try again later")
    }

    /// The bodies of other requests take all the memory that there is for them.
    pub(crate) fn no_room_for_body() -> Self {
        Self::busy("the server has no room for the body of this request now; try again later")
    }

    /// The server was asked to stop.
    pub(crate) fn stopping() -> Self {
        Self::busy("the server is stopping and finishes what it has; ask another one, or try again later")
    }

    /// The server could answer later.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The server failed. What went wrong is logged, and not for clients.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed at this request; its log says why")
    }

    /// With a code for programs.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Whether another request would do.
    pub(crate) fn is_of_the_client(&self) -> bool {
        self.status.is_client_error()
    }

    /// The object that is sent, in an answer's body or in a stream that has begun.
    pub(crate) fn to_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }})
    }

    /// OpenAI's names for what kind of error it is.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
            StatusCode::INTERNAL_SERVER_ERROR => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &self.to_json());
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_openais_shape() {
        let error = ApiError::field("n", "must be an integer from 1 to 16, not 99");
        assert_eq!(
            error.to_json(),
            json!({"error": {"message": "n: must be an integer from 1 to 16, not 99", "type": "invalid_request_error",
                "param": "n", "code": null}})
        );
        assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn what_a_client_wrote_is_quoted_in_part() {
        let error = ApiError::bad_request("é".repeat(10_000));
        let message = error.to_json()["error"]["message"].as_str().map(str::to_owned).unwrap();
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARS + 1);
    }

    #[test]
    fn a_busy_server_says_when_to_come_back() {
        let response = ApiError::busy("later").into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(ApiError::unauthorized().into_response().headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
