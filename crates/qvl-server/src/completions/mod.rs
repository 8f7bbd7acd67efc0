//! `/v1/completions`: text that is continued without a template. What looks like a control token in it is text.

mod output;
mod request;
mod stream;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use qvl::Prompt;
use qvl::service::Event;
use serde_json::{Value, json};

use crate::answers::{Answers, Wanted};
use crate::app::{App, new_id, unix_seconds};
use crate::body::{json_response, read_json};
use crate::error::ApiError;
use crate::prepare::{check_prompt, prepare_text};
use crate::sampling::with_seed;
use crate::sse;
use crate::usage::Usage;
use output::{Output, choice_object};
use request::{CompletionsRequest, PromptText};

/// Continues one or more prompts.
pub(crate) async fn completions(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let asked = Instant::now();
    let body = read_json(request, &app.bodies, &app.options.limits).await?;
    let mut request = request::read(body.fields, &app)?;
    let admission = app.admit()?;
    let mut prompts = Vec::new();
    for text in std::mem::take(&mut request.prompts) {
        prompts.push(match text {
            PromptText::Text(text) => prepare_text(&app, text).await?,
            PromptText::Tokens(ids) => prompt_of_tokens(&app, ids)?,
        });
    }
    drop(body.room);
    let usage = Usage::new(prompts.iter().map(|prompt| prompt.token_ids.len()).sum());
    let of_prompt = |prompt: &Prompt| -> Vec<Output> {
        (0..request.choices).map(|_| Output::new(&request, &prompt.text)).collect()
    };
    let outputs = prompts.iter().flat_map(of_prompt).collect();
    let answers = Answers::submit(&app, wanted(&request, prompts), (admission, None), asked)?;
    if request.stream {
        return Ok(sse::respond(answers, stream::CompletionStream::new(&app, request.include_usage, outputs, usage)));
    }
    collect(&app, answers, outputs, usage).await
}

fn prompt_of_tokens(app: &App, ids: Vec<u32>) -> Result<Prompt, ApiError> {
    let text = app.service.processor().tokenizer().decode(&ids, false);
    check_prompt(app, Prompt::from_tokens(ids, text))
}

fn wanted(request: &CompletionsRequest, prompts: Vec<Prompt>) -> Vec<Wanted> {
    let answers = prompts.into_iter().flat_map(|prompt| {
        (0..request.choices).map(move |index| Wanted {
            prompt: prompt.clone(),
            generation: with_seed(&request.generation, index),
            logprobs: request.logprobs,
            grammar: None,
        })
    });
    answers.collect()
}

async fn collect(
    app: &App,
    mut answers: Answers,
    mut outputs: Vec<Output>,
    mut usage: Usage,
) -> Result<Response, ApiError> {
    let mut choices = vec![Value::Null; outputs.len()];
    while let Some(event) = answers.next().await {
        let (index, event) = event?;
        usage.note(&event);
        match event {
            Event::Token { id, text, logprobs } => outputs[index].token(id, &text, logprobs.as_ref()),
            Event::Finished(answer) => {
                let text = format!("{}{}", outputs[index].echo(), answer.text);
                let logprobs = outputs[index].take_logprobs();
                choices[index] = choice_object(index, &text, logprobs, Some(answer.finish_reason));
            }
            Event::Started { .. } | Event::Failed(_) => {}
        }
    }
    let object = json!({
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": unix_seconds(),
        "model": app.options.model_name,
        "choices": choices,
        "usage": usage.to_json(),
    });
    Ok(json_response(StatusCode::OK, &object))
}
