//! The conversation as callers give it: messages, their parts, tool calls.
//!
//! The serde form is that of the OpenAI chat API, with one difference: a picture or video part holds
//! the index of its medium in the list given to [`crate::Processor::prepare`],
//! `{"type": "image", "image": 0}`, because loading files and URLs is not this crate's business.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator's instructions; `developer` is read as the same.
    #[serde(alias = "developer")]
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The name that chat templates compare with.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// A piece of a message's content. Numbers are indices into the media list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PartJson", into = "PartJson")]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image(usize),
    /// A video.
    Video(usize),
}

/// [`Part`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum PartJson {
    Text { text: String },
    Image { image: usize },
    Video { video: usize },
}

impl From<PartJson> for Part {
    fn from(json: PartJson) -> Part {
        match json {
            PartJson::Text { text } => Part::Text(text),
            PartJson::Image { image } => Part::Image(image),
            PartJson::Video { video } => Part::Video(video),
        }
    }
}

impl From<Part> for PartJson {
    fn from(part: Part) -> PartJson {
        match part {
            Part::Text(text) => PartJson::Text { text },
            Part::Image(image) => PartJson::Image { image },
            Part::Video(video) => PartJson::Video { video },
        }
    }
}

/// A function the assistant called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ToolCallJson", into = "ToolCallJson")]
pub struct ToolCall {
    /// The caller's id of this call; templates do not see it.
    pub id: Option<String>,
    /// Name of the function.
    pub name: String,
    /// Its arguments: an object, or a string that holds one, which the template prints as it is.
    pub arguments: Value,
}

/// [`ToolCall`] as JSON: `{"type": "function", "function": {…}}`, or the inner object alone.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ToolCallJson {
    Nested {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(rename = "type", default = "function_type")]
        kind: String,
        function: FunctionJson,
    },
    Flat(FunctionJson),
}

#[derive(Serialize, Deserialize)]
struct FunctionJson {
    name: String,
    #[serde(default = "no_arguments")]
    arguments: Value,
}

fn function_type() -> String {
    "function".to_owned()
}

fn no_arguments() -> Value {
    Value::Object(Map::new())
}

impl From<ToolCallJson> for ToolCall {
    fn from(json: ToolCallJson) -> ToolCall {
        let (id, function) = match json {
            ToolCallJson::Nested { id, function, .. } => (id, function),
            ToolCallJson::Flat(function) => (None, function),
        };
        ToolCall { id, name: function.name, arguments: function.arguments }
    }
}

impl From<ToolCall> for ToolCallJson {
    fn from(call: ToolCall) -> ToolCallJson {
        ToolCallJson::Nested {
            id: call.id,
            kind: function_type(),
            function: FunctionJson { name: call.name, arguments: call.arguments },
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; as JSON also a plain string or `null`.
    #[serde(default, deserialize_with = "read_content", serialize_with = "write_content")]
    pub content: Vec<Part>,
    /// The assistant's reasoning, kept apart from the answer.
    #[serde(default, rename = "reasoning_content", skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Functions the assistant called.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

impl Message {
    /// A message of `role` that holds `content` and nothing else.
    pub fn new(role: Role, content: Vec<Part>) -> Message {
        Message { role, content, reasoning: None, tool_calls: Vec::new() }
    }

    /// A message of `role` that holds one text.
    pub fn text(role: Role, text: impl Into<String>) -> Message {
        Message::new(role, vec![Part::Text(text.into())])
    }

    /// The message as chat templates see it, each caller's string passed through `guard` first.
    ///
    /// Content of nothing but one text is a string, otherwise a list of parts: the published templates render
    /// both alike, and templates that know only strings still work for text.
    pub(crate) fn to_template(&self, guard: &mut dyn FnMut(&str) -> String) -> Value {
        let mut map = Map::new();
        map.insert("role".into(), self.role.as_str().into());
        map.insert("content".into(), content_to_template(&self.content, guard));
        if let Some(reasoning) = &self.reasoning {
            map.insert("reasoning_content".into(), guard(reasoning).into());
        }
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.iter();
            let calls = calls.map(|call| call_to_template(call, guard)).collect();
            map.insert("tool_calls".into(), Value::Array(calls));
        }
        Value::Object(map)
    }
}

fn content_to_template(content: &[Part], guard: &mut dyn FnMut(&str) -> String) -> Value {
    match content {
        [] => Value::String(String::new()),
        [Part::Text(text)] => guard(text).into(),
        parts => parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => object([("type", "text".into()), ("text", guard(text).into())]),
                Part::Image(_) => object([("type", "image".into())]),
                Part::Video(_) => object([("type", "video".into())]),
            })
            .collect(),
    }
}

fn call_to_template(call: &ToolCall, guard: &mut dyn FnMut(&str) -> String) -> Value {
    let function = object([("name", guard(&call.name).into()), ("arguments", map_strings(&call.arguments, guard))]);
    object([("type", "function".into()), ("function", function)])
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(entries.map(|(k, v)| (k.to_owned(), v)).into_iter().collect())
}

/// `value` with every string in it, keys included, passed through `change`.
pub(crate) fn map_strings(value: &Value, change: &mut dyn FnMut(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| map_strings(item, change)).collect(),
        Value::Object(map) => {
            let entries = map.iter();
            Value::Object(entries.map(|(key, item)| (change(key), map_strings(item, change))).collect())
        }
        scalar => scalar.clone(),
    }
}

fn read_content<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Content {
        Text(String),
        Parts(Vec<Part>),
    }
    Ok(match Option::<Content>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![Part::Text(text)],
        Some(Content::Parts(parts)) => parts,
    })
}

fn write_content<S: serde::Serializer>(content: &[Part], serializer: S) -> Result<S::Ok, S::Error> {
    match content {
        [Part::Text(text)] => serializer.serialize_str(text),
        parts => parts.serialize(serializer),
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_openai_clients_send() {
        let message: Message = serde_json::from_value(json!({
            "role": "assistant", "content": null, "refusal": null, "reasoning_content": "r",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"name": "g", "arguments": {"b": 2}},
            ],
        }))
        .unwrap();
        assert_eq!(message.content, []);
        assert_eq!(message.reasoning.as_deref(), Some("r"));
        assert_eq!(message.tool_calls[0].arguments, json!("{\"a\":1}"));
        assert_eq!(message.tool_calls[1].name, "g");
        let developer: Message =
            serde_json::from_value(json!({"role": "developer", "content": "x", "tool_calls": null})).unwrap();
        assert_eq!(developer, Message::text(Role::System, "x"));
    }

    #[test]
    fn survives_the_way_through_json() {
        let message = Message {
            role: Role::User,
            content: vec![Part::Image(0), Part::Text("a".into()), Part::Video(1)],
            reasoning: None,
            tool_calls: vec![ToolCall {
                id: Some("c".into()),
                name: "f".into(),
                arguments: json!({"z": 1, "a": [true, null]}),
            }],
        };
        let text = serde_json::to_string(&message).unwrap();
        assert!(text.contains(r#"{"type":"image","image":0}"#), "{text}");
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
    }

    #[test]
    fn refuses_an_unknown_part_and_role() {
        for json in [
            json!({"role": "user", "content": [{"type": "audio", "audio": 0}]}),
            json!({"role": "narrator", "content": "x"}),
        ] {
            assert!(serde_json::from_value::<Message>(json).is_err());
        }
    }

    #[test]
    fn guards_every_string_of_a_caller() {
        let message = Message {
            role: Role::Assistant,
            content: vec![Part::Text("t".into())],
            reasoning: Some("r".into()),
            tool_calls: vec![ToolCall { id: None, name: "n".into(), arguments: json!({"k": ["v"]}) }],
        };
        let value = message.to_template(&mut |text| format!("{text}!"));
        assert_eq!(
            value,
            json!({"role": "assistant", "content": "t!", "reasoning_content": "r!",
                "tool_calls": [{"type": "function", "function": {"name": "n!", "arguments": {"k!": ["v!"]}}}]})
        );
    }
}
