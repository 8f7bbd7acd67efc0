//! `/v1/responses`: the part of it that needs no memory of earlier answers.

mod input;
mod items;
mod object;
mod request;
mod stream;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use qvl::FinishReason;
use qvl::service::Event;

use crate::answers::Answers;
use crate::app::App;
use crate::asking::Asking;
use crate::body::{json_response, read_json};
use crate::error::ApiError;
use crate::parts::PartsParser;
use crate::sse;
use crate::usage::Usage;
use items::Items;
use object::ResponseObject;
use request::ResponsesRequest;

/// Answers a conversation.
pub(crate) async fn responses(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let asked = Instant::now();
    let body = read_json(request, &app.bodies, &app.options.limits).await?;
    let ResponsesRequest { mut question, stream, echo } = request::read(body.fields, &app)?;
    let Asking { answers, parsers, usage } = Asking::new(&app, &mut question, asked).await?;
    drop(body.room);
    let object = ResponseObject::new(&app, &question.generation, echo);
    let parser = parsers.into_iter().next().ok_or_else(ApiError::internal)?;
    if stream {
        return Ok(sse::respond(answers, stream::ResponseStream::new(object, parser, usage)));
    }
    collect(answers, parser, usage, &object).await
}

async fn collect(
    mut answers: Answers,
    mut parser: PartsParser,
    mut usage: Usage,
    object: &ResponseObject,
) -> Result<Response, ApiError> {
    let (mut items, mut reason) = (Items::default(), FinishReason::Stop);
    while let Some(event) = answers.next().await {
        let (_, event) = event?;
        usage.note(&event);
        match event {
            Event::Token { text, .. } => parser.push(&text).into_iter().for_each(|piece| drop(items.add(piece))),
            Event::Finished(answer) => {
                usage.reasoning_tokens += parser.reasoning_tokens();
                parser.finish(&answer).into_iter().for_each(|piece| drop(items.add(piece)));
                reason = answer.finish_reason;
            }
            Event::Started { .. } | Event::Failed(_) => {}
        }
    }
    items.close(reason);
    Ok(json_response(StatusCode::OK, &object.finished(items.into_finished(), reason, &usage)))
}
