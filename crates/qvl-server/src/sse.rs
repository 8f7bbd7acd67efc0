//! Server-sent events: how answers are streamed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use futures_util::stream;
use qvl::service::Event;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answers::Answers;
use crate::error::ApiError;

/// After so long without a frame a comment is sent, so that proxies and clients see that the server lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One event, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame(String);

impl Frame {
    /// An event without a name. JSON has no line breaks of its own.
    pub(crate) fn data(object: &Value) -> Self {
        Self(format!("data: {object}\n\n"))
    }

    /// An event with a name.
    pub(crate) fn named(name: &str, object: &Value) -> Self {
        Self(format!("event: {name}\ndata: {object}\n\n"))
    }

    /// What ends the streams of OpenAI's older endpoints.
    pub(crate) fn done() -> Self {
        Self("data: [DONE]\n\n".to_owned())
    }

    fn comment() -> Self {
        Self(": working\n\n".to_owned())
    }
}

/// Writes the events of an endpoint.
pub(crate) trait StreamWriter: Send + 'static {
    /// Before anything has happened.
    fn begin(&mut self) -> Vec<Frame>;
    /// Something happened to one of the answers.
    fn event(&mut self, index: usize, event: Event) -> Vec<Frame>;
    /// All answers are finished.
    fn end(&mut self) -> Vec<Frame>;
    /// An answer failed; nothing follows.
    fn failed(&mut self, error: &ApiError) -> Vec<Frame> {
        vec![Frame::data(&error.to_json()), Frame::done()]
    }
}

/// Streams the answers as `writer` writes them.
pub(crate) fn respond(answers: Answers, mut writer: impl StreamWriter) -> Response {
    let frames = VecDeque::from(writer.begin());
    let state = Streaming { answers: Some(answers), writer, frames };
    let bytes = stream::unfold(state, |mut state| async move {
        let frame = state.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(frame.0)), state))
    });
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would otherwise wait for more.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A stream under way.
struct Streaming<W> {
    /// None when the last event was seen.
    answers: Option<Answers>,
    writer: W,
    /// What is written and not sent.
    frames: VecDeque<Frame>,
}

impl<W: StreamWriter> Streaming<W> {
    async fn next(&mut self) -> Option<Frame> {
        // Not every event makes a frame: tokens without a text, half characters, what may become a stop text.
        let patience = Instant::now() + KEEP_ALIVE;
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            let answers = self.answers.as_mut()?;
            let Ok(event) = timeout_at(patience, answers.next()).await else {
                return Some(Frame::comment());
            };
            let frames = match event {
                Some(Ok((index, event))) => self.writer.event(index, event),
                Some(Err(error)) => {
                    self.answers = None;
                    self.writer.failed(&error)
                }
                None => {
                    self.answers = None;
                    self.writer.end()
                }
            };
            self.frames.extend(frames);
        }
    }
}
