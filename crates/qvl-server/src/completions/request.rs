//! What a request to `/v1/completions` says.

use qvl::{GenerationConfig, MAX_TOP_LOGPROBS};
use serde_json::{Value, json};

use crate::app::App;
use crate::chat::read_stream_options;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::model::check_model;
use crate::sampling::{read_max_tokens, read_sampling};

/// Length of an answer where the request says nothing, as in OpenAI's API.
const DEFAULT_MAX_TOKENS: usize = 16;

/// A request, read and checked.
pub(super) struct CompletionsRequest {
    pub(super) prompts: Vec<PromptText>,
    pub(super) generation: GenerationConfig,
    /// Answers for each prompt.
    pub(super) choices: usize,
    pub(super) logprobs: Option<usize>,
    /// Whether the text begins with the prompt.
    pub(super) echo: bool,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

/// A prompt as text or as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PromptText {
    Text(String),
    Tokens(Vec<u32>),
}

/// Reads the fields.
///
/// # Errors
/// Names the first field that is wrong, unknown or not supported.
pub(super) fn read(mut fields: Fields, app: &App) -> Result<CompletionsRequest, ApiError> {
    let (limits, processor) = (&app.options.limits, app.service.processor());
    check_model(&mut fields, app)?;
    let tokenizer = processor.tokenizer();
    let is_token = |id: u32| tokenizer.token_bytes(id).is_some() && !tokenizer.is_special(id);
    let prompts = read_prompts(&mut fields, is_token)?;
    let mut generation = read_sampling(&mut fields, app.service.generation_config(), processor, limits)?;
    let max_tokens = read_max_tokens(&mut fields, &["max_tokens"], limits)?;
    generation.max_new_tokens = max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    let choices = fields.count("n", 1, limits.choices)?.unwrap_or(1);
    if prompts.len().saturating_mul(choices) > limits.choices {
        return Err(fields.error("n", format!("times the number of prompts is over {}; ask for fewer", limits.choices)));
    }
    fields.only("best_of", &json!(choices), "can only be as n")?;
    fields.only("suffix", &json!(""), "is not supported; the model continues text and does not fill gaps")?;
    let logprobs = fields.count("logprobs", 0, MAX_TOP_LOGPROBS)?;
    let echo = fields.flag("echo")?.unwrap_or(false);
    if echo && logprobs.is_some() {
        return Err(fields.error("logprobs", "cannot be had for the prompt; leave out echo or logprobs"));
    }
    let stream = fields.flag("stream")?.unwrap_or(false);
    let include_usage = read_stream_options(&mut fields, stream)?;
    fields.ignore_bookkeeping();
    fields.finish()?;
    Ok(CompletionsRequest { prompts, generation, choices, logprobs, echo, stream, include_usage })
}

/// A text, a list of texts, a list of tokens, or a list of lists of tokens.
fn read_prompts(fields: &mut Fields, is_token: impl Fn(u32) -> bool) -> Result<Vec<PromptText>, ApiError> {
    let wrong = || ApiError::field("prompt", "must be a text, a list of texts, or a list of token ids");
    let tokens = |ids: &[Value]| {
        let ids = ids.iter().map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|&id| is_token(id)));
        let ids: Option<Vec<u32>> = ids.collect();
        ids.map(PromptText::Tokens).ok_or_else(|| {
            ApiError::field("prompt", "has an id that is no token of text; control tokens are not for requests to set")
        })
    };
    let value = fields.value("prompt");
    match fields.required("prompt", value)? {
        Value::String(text) => Ok(vec![PromptText::Text(text)]),
        Value::Array(items) => match items.first() {
            None => Err(ApiError::field("prompt", "is empty")),
            Some(Value::Number(_)) => Ok(vec![tokens(&items)?]),
            Some(_) => {
                let prompts = items.into_iter().map(|item| match item {
                    Value::String(text) => Ok(PromptText::Text(text)),
                    Value::Array(ids) => tokens(&ids),
                    _ => Err(wrong()),
                });
                prompts.collect()
            }
        },
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(prompt: Value) -> Result<Vec<PromptText>, ApiError> {
        read_prompts(&mut Fields::of_request(json!({"prompt": prompt})).unwrap(), |id| id < 100)
    }

    #[test]
    fn all_forms_of_a_prompt_are_read() {
        let text = |text: &str| PromptText::Text(text.to_owned());
        assert_eq!(read(json!("a")).unwrap(), [text("a")]);
        assert_eq!(read(json!(["a", "b"])).unwrap(), [text("a"), text("b")]);
        assert_eq!(read(json!([1, 2])).unwrap(), [PromptText::Tokens(vec![1, 2])]);
        assert_eq!(read(json!([[1], [2]])).unwrap(), [PromptText::Tokens(vec![1]), PromptText::Tokens(vec![2])]);
    }

    #[test]
    fn other_forms_are_refused() {
        for prompt in [json!([]), json!(5), json!({}), json!([100]), json!([-1]), json!([1, "a"]), json!([true])] {
            assert!(read(prompt.clone()).is_err(), "{prompt}");
        }
    }
}
