//! A request for an answer in a conversation, whichever endpoint it came to.

use qvl::{GenerationConfig, Message, Part, PromptOptions};
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Source;
use crate::options::ServerLimits;
use crate::tools::Tools;

/// What is asked, read and checked, with nothing loaded yet.
#[derive(Debug)]
pub(crate) struct Question {
    /// The conversation.
    pub(crate) messages: Vec<Message>,
    /// The pictures and videos that the messages refer to.
    pub(crate) sources: Vec<Source>,
    /// How the prompt is made.
    pub(crate) prompt: PromptOptions,
    /// How the answers are generated.
    pub(crate) generation: GenerationConfig,
    /// How many answers.
    pub(crate) choices: usize,
    /// With so many likely tokens beside each; none for no log-probabilities.
    pub(crate) logprobs: Option<usize>,
    /// The functions that may be called.
    pub(crate) tools: Option<Tools>,
    /// What the text must be.
    pub(crate) format: Format,
}

/// What the text of an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// Anything.
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that a schema allows.
    JsonSchema {
        /// The schema.
        schema: Value,
        /// Whether keywords that cannot be kept to are errors; otherwise they are passed over.
        strict: bool,
        /// The field it stands in.
        param: String,
    },
}

impl Question {
    /// Calls and a format that the text must have exclude each other.
    ///
    /// # Errors
    /// If both are asked for.
    pub(crate) fn check(&self, format_field: &str) -> Result<(), ApiError> {
        if self.tools.is_some() && self.format != Format::Text {
            let what = "excludes tools: leave them out, or give tool_choice: none";
            return Err(ApiError::field(format_field, what));
        }
        Ok(())
    }

    /// Bytes of all texts of the conversation: whatever a template may print.
    pub(crate) fn text_bytes(&self) -> usize {
        self.messages.iter().map(message_bytes).sum()
    }
}

fn message_bytes(message: &Message) -> usize {
    let parts = message.content.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 });
    let calls = message.tool_calls.iter().map(|call| call.name.len() + call.arguments.to_string().len());
    let reasoning = message.reasoning.as_ref().map_or(0, String::len);
    parts.sum::<usize>() + calls.sum::<usize>() + reasoning
}

/// Reads a format: `{"type": "json_schema", …}`, whose schema lies in `json_schema` or, in `/v1/responses`, beside the type.
///
/// # Errors
/// Names the field that is wrong.
pub(crate) fn read_format(format: Option<Fields>, limits: &ServerLimits) -> Result<Format, ApiError> {
    let Some(mut format) = format else { return Ok(Format::Text) };
    let kind = format.text("type")?;
    match format.required("type", kind)?.as_str() {
        "text" => format.finish().map(|()| Format::Text),
        "json_object" => format.finish().map(|()| Format::JsonObject),
        "json_schema" => {
            let nested = format.object("json_schema")?;
            let mut described = match nested {
                Some(nested) => {
                    format.finish()?;
                    nested
                }
                None => format,
            };
            let schema = described.value("schema");
            let schema = described.required("schema", schema)?;
            let bytes = schema.to_string().len();
            if bytes > limits.schema_bytes {
                let what = format!("has {bytes} bytes, the limit is {}; shorten it", limits.schema_bytes);
                return Err(described.error("schema", what));
            }
            let (strict, param) = (described.flag("strict")?.unwrap_or(false), described.path("schema"));
            described.ignore(&["name", "description"]);
            described.finish()?;
            Ok(Format::JsonSchema { schema, strict, param })
        }
        _ => Err(format.error("type", "must be text, json_object or json_schema")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(format: Value) -> Result<Format, ApiError> {
        let limits = ServerLimits { schema_bytes: 100, ..ServerLimits::default() };
        read_format(Some(Fields::at("response_format", format).unwrap()), &limits)
    }

    #[test]
    fn both_places_of_a_schema_are_known() {
        let schema = json!({"type": "object"});
        let nested = json!({"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": schema}});
        let flat = json!({"type": "json_schema", "name": "a", "schema": schema});
        let read_schema = |format, strict, param: &str| {
            let wanted = Format::JsonSchema { schema: schema.clone(), strict, param: param.to_owned() };
            assert_eq!(read(format).unwrap(), wanted);
        };
        read_schema(nested, true, "response_format.json_schema.schema");
        read_schema(flat, false, "response_format.schema");
        assert_eq!(read(json!({"type": "json_object"})).unwrap(), Format::JsonObject);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (format, said) in [
            (json!({"type": "xml"}), "response_format.type: must be"),
            (json!({}), "response_format.type: is missing"),
            (json!({"type": "json_schema", "json_schema": {"name": "a"}}), "json_schema.schema: is missing"),
            (
                json!({"type": "json_schema", "json_schema": {"schema": {"description": "x".repeat(200)}}}),
                "the limit is 100",
            ),
            (json!({"type": "text", "grammar": 1}), "response_format.grammar: is not a field"),
        ] {
            let error = read(format).unwrap_err().to_json();
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains(said), "{message}");
        }
    }
}
