//! The object that `/v1/responses` answers with.

use qvl::{FinishReason, GenerationConfig};
use serde_json::{Map, Value, json};

use crate::app::{App, new_id, unix_seconds};
use crate::error::ApiError;
use crate::usage::Usage;

/// What does not change while the answer grows.
pub(super) struct ResponseObject {
    fields: Map<String, Value>,
}

impl ResponseObject {
    /// With the fields of the request that are repeated.
    pub(super) fn new(app: &App, generation: &GenerationConfig, echo: Map<String, Value>) -> Self {
        let fields = json!({
            "id": new_id("resp_"),
            "object": "response",
            "created_at": unix_seconds(),
            "model": app.options.model_name,
            "error": null,
            "incomplete_details": null,
            "max_output_tokens": generation.max_new_tokens,
            "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null},
            "store": false,
            "temperature": generation.sampling.temperature,
            "top_p": generation.sampling.top_p,
            "truncation": "disabled",
            "user": null,
        });
        let mut fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        fields.extend(echo);
        Self { fields }
    }

    /// Before anything is generated.
    pub(super) fn in_progress(&self) -> Value {
        self.with("in_progress", json!([]), Value::Null)
    }

    /// The whole answer.
    pub(super) fn finished(&self, items: Vec<Value>, reason: FinishReason, usage: &Usage) -> Value {
        let mut object = self.with(Self::status(reason), Value::Array(items), usage_object(usage));
        if reason == FinishReason::Length {
            object["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        object
    }

    /// No answer.
    pub(super) fn failed(&self, error: &ApiError) -> Value {
        let mut object = self.with("failed", json!([]), Value::Null);
        let code = if error.is_of_the_client() { "invalid_prompt" } else { "server_error" };
        object["error"] = json!({"code": code, "message": error.to_json()["error"]["message"]});
        object
    }

    /// The status of an answer that ended so.
    pub(super) fn status(reason: FinishReason) -> &'static str {
        if reason == FinishReason::Length { "incomplete" } else { "completed" }
    }

    fn with(&self, status: &str, output: Value, usage: Value) -> Value {
        let mut object = self.fields.clone();
        object.insert("status".to_owned(), json!(status));
        object.insert("output".to_owned(), output);
        object.insert("usage".to_owned(), usage);
        Value::Object(object)
    }
}

fn usage_object(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens.unwrap_or(0)},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "qvl": usage.own(),
    })
}
