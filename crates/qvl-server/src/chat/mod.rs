//! `/v1/chat/completions`

mod request;
mod response;
mod stream;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::asking::Asking;
use crate::body::{json_response, read_json};
use crate::error::ApiError;
use crate::sse;
use request::ChatRequest;
pub(crate) use request::read_stream_options;

/// Answers a conversation.
pub(crate) async fn chat(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let asked = Instant::now();
    let body = read_json(request, &app.bodies, &app.options.limits).await?;
    let ChatRequest { mut question, stream, include_usage } = request::read(body.fields, &app)?;
    let asking = Asking::new(&app, &mut question, asked).await?;
    drop(body.room);
    if stream {
        let Asking { answers, parsers, usage } = asking;
        return Ok(sse::respond(answers, stream::ChatStream::new(&app, &question, parsers, usage, include_usage)));
    }
    let object = response::collect(&app, &question, asking).await?;
    Ok(json_response(StatusCode::OK, &object))
}
