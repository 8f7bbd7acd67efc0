//! One answer of `/v1/completions`.

use qvl::{FinishReason, GenerationConfig, TokenLogprobs};
use serde_json::{Map, Value, json};

use super::request::CompletionsRequest;
use crate::logprobs::{finite, shown, token_text};

/// What is known of one answer.
pub(super) struct Output {
    /// The prompt, where it is wanted before the answer.
    echo: String,
    generation: GenerationConfig,
    /// None where they are not wanted.
    logprobs: Option<Lists>,
    /// Characters of text that the tokens so far have.
    offset: usize,
    /// Bytes of text that came so far.
    taken: usize,
}

/// Log-probabilities as lists with an entry for each token.
#[derive(Debug, Default)]
struct Lists {
    tokens: Vec<Value>,
    token_logprobs: Vec<Value>,
    top_logprobs: Vec<Value>,
    text_offset: Vec<Value>,
}

impl Output {
    pub(super) fn new(request: &CompletionsRequest, prompt: &str) -> Self {
        let echo = if request.echo { prompt.to_owned() } else { String::new() };
        Self {
            echo,
            generation: request.generation.clone(),
            logprobs: request.logprobs.map(|_| Lists::default()),
            offset: 0,
            taken: 0,
        }
    }

    /// The prompt, where it is wanted.
    pub(super) fn echo(&self) -> &str {
        &self.echo
    }

    /// A token came.
    pub(super) fn token(&mut self, id: u32, text: &str, logprobs: Option<&TokenLogprobs>) {
        self.taken += text.len();
        let (Some(lists), Some(found)) = (&mut self.logprobs, shown(id, logprobs, &self.generation)) else { return };
        let text = token_text(&found.bytes);
        let top = found.top.iter().map(|(_, logprob, bytes)| (token_text(bytes), json!(finite(*logprob))));
        lists.top_logprobs.push(Value::Object(top.collect::<Map<_, _>>()));
        lists.token_logprobs.push(json!(finite(found.logprob)));
        lists.text_offset.push(json!(self.offset));
        self.offset += text.chars().count();
        lists.tokens.push(json!(text));
    }

    /// What of the answer's text no token had.
    pub(super) fn held_back<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.taken..).unwrap_or_default()
    }

    /// The log-probabilities since the last call.
    pub(super) fn take_logprobs(&mut self) -> Value {
        let Some(lists) = &mut self.logprobs else { return Value::Null };
        let Lists { tokens, token_logprobs, top_logprobs, text_offset } = std::mem::take(lists);
        json!({
            "tokens": tokens,
            "token_logprobs": token_logprobs,
            "top_logprobs": top_logprobs,
            "text_offset": text_offset,
        })
    }
}

/// An entry of `choices`.
pub(super) fn choice_object(index: usize, text: &str, logprobs: Value, reason: Option<FinishReason>) -> Value {
    let reason = reason.map(|reason| match reason {
        FinishReason::Length => "length",
        FinishReason::Stop | FinishReason::Cancelled => "stop",
    });
    json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_the_model_excludes_has_a_number_that_json_can_write() {
        let mut output = Output {
            echo: String::new(),
            generation: GenerationConfig::default(),
            logprobs: Some(Lists::default()),
            offset: 0,
            taken: 0,
        };
        let found = |logprob| TokenLogprobs { id: 5, logprob, bytes: b"ab".to_vec(), top: Vec::new() };
        output.token(5, "ab", Some(&found(f32::NEG_INFINITY)));
        output.token(5, "ab", Some(&found(-0.5)));
        let lists = output.take_logprobs();
        assert_eq!(lists["token_logprobs"], json!([-9999.0, -0.5]));
        assert_eq!(lists["text_offset"], json!([0, 2]));
        assert_eq!(output.take_logprobs()["tokens"], json!([]));
    }
}
