//! A whole answer of `/v1/chat/completions`.

use qvl::service::Event;
use serde_json::{Map, Value, json};

use crate::app::{App, new_id, unix_seconds};
use crate::asking::Asking;
use crate::error::ApiError;
use crate::logprobs::chat_logprobs;
use crate::parts::{Call, Parts};
use crate::question::Question;

/// What is known of one answer.
#[derive(Default)]
struct Collected {
    parts: Parts,
    logprobs: Vec<Value>,
    finish_reason: &'static str,
}

/// Waits for all answers and writes the object.
///
/// # Errors
/// If one of them fails.
pub(super) async fn collect(app: &App, question: &Question, asking: Asking) -> Result<Value, ApiError> {
    let Asking { mut answers, mut parsers, mut usage } = asking;
    let mut collected: Vec<Collected> = parsers.iter().map(|_| Collected::default()).collect();
    while let Some(event) = answers.next().await {
        let (index, event) = event?;
        let (choice, parser) = (&mut collected[index], &mut parsers[index]);
        usage.note(&event);
        match event {
            Event::Token { id, text, logprobs } => {
                parser.push(&text).into_iter().for_each(|piece| choice.parts.add(piece));
                choice.logprobs.extend(chat_logprobs(id, logprobs.as_ref(), &question.generation));
            }
            Event::Finished(answer) => {
                usage.reasoning_tokens += parser.reasoning_tokens();
                parser.finish(&answer).into_iter().for_each(|piece| choice.parts.add(piece));
                choice.finish_reason = parser.finish_reason(answer.finish_reason);
            }
            Event::Started { .. } | Event::Failed(_) => {}
        }
    }
    let has_logprobs = question.logprobs.is_some();
    let choices = collected.into_iter().enumerate().map(|(index, choice)| choice_object(index, choice, has_logprobs));
    Ok(json!({
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": unix_seconds(),
        "model": app.options.model_name,
        "choices": choices.collect::<Vec<_>>(),
        "usage": usage.to_json(),
    }))
}

fn choice_object(index: usize, choice: Collected, has_logprobs: bool) -> Value {
    let Parts { reasoning, text, calls } = choice.parts;
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { json!(text) };
    message.insert("content".to_owned(), content);
    message.insert("refusal".to_owned(), Value::Null);
    if !reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(reasoning));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.iter().map(call_object).collect());
    }
    let logprobs = if has_logprobs { json!({"content": choice.logprobs, "refusal": null}) } else { Value::Null };
    json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish_reason})
}

fn call_object(call: &Call) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}
