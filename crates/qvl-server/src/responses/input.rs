//! `input` of `/v1/responses`: a text, or messages, calls and their results in one list.

use qvl::{Message, Part, Role, ToolCall};
use serde_json::Value;

use crate::content::{check_detail, read_parts};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Sources;
use crate::messages::{Conversation, read_arguments};
use crate::options::ServerLimits;

/// Reads `input`, and `instructions` as the system's message before it.
///
/// # Errors
/// Names the first field that is wrong.
pub(super) fn read_input(
    input: Value,
    instructions: Option<String>,
    sources: &mut Sources<'_>,
    limits: &ServerLimits,
) -> Result<Vec<Message>, ApiError> {
    let mut reader = Reader::default();
    if let Some(text) = instructions {
        reader.push(Message::text(Role::System, text), "instructions")?;
    }
    match input {
        Value::String(text) => reader.push(Message::text(Role::User, text), "input")?,
        Value::Array(items) if items.len() > limits.messages => {
            return Err(ApiError::field("input", format!("over {} items; give fewer", limits.messages)));
        }
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                let path = format!("input[{index}]");
                reader.item(Fields::at(&path, item)?, &path, sources)?;
            }
        }
        _ => return Err(ApiError::field("input", "must be a string or a list of items")),
    }
    reader.finish()
}

/// Puts items together to messages: an assistant's thinking, text and calls are one.
#[derive(Default)]
struct Reader {
    conversation: Conversation,
    assistant: Option<Message>,
}

impl Reader {
    fn push(&mut self, message: Message, path: &str) -> Result<(), ApiError> {
        if let Some(assistant) = self.assistant.take() {
            self.conversation.push(assistant, path)?;
        }
        self.conversation.push(message, path)
    }

    fn assistant(&mut self) -> &mut Message {
        self.assistant.get_or_insert_with(|| Message::new(Role::Assistant, Vec::new()))
    }

    fn item(&mut self, mut item: Fields, path: &str, sources: &mut Sources<'_>) -> Result<(), ApiError> {
        let kind = item.text("type")?.unwrap_or_else(|| "message".to_owned());
        // What earlier answers say of themselves.
        item.ignore(&["id", "status", "phase"]);
        match kind.as_str() {
            "message" => self.message(&mut item, path, sources)?,
            "function_call" => {
                let call = read_call(&mut item)?;
                self.assistant().tool_calls.push(call);
            }
            "function_call_output" => {
                item.text("call_id")?;
                let output = item.value("output");
                let output = item.required("output", output)?;
                let content = read_content(output, &item.path("output"), Role::Tool, sources)?;
                self.push(Message::new(Role::Tool, content), path)?;
            }
            "reasoning" => self.reasoning(&mut item)?,
            "item_reference" => return Err(item.error("type", "this server keeps no items; send the item itself")),
            _ => {
                let what = "must be message, function_call, function_call_output or reasoning";
                return Err(item.error("type", what));
            }
        }
        item.finish()
    }

    fn message(&mut self, item: &mut Fields, path: &str, sources: &mut Sources<'_>) -> Result<(), ApiError> {
        let role = match item.text("role")?.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => return Err(item.error("role", "must be system, developer, user or assistant")),
        };
        let content = item.value("content");
        let content = item.required("content", content)?;
        let content = read_content(content, &item.path("content"), role, sources)?;
        if role == Role::Assistant {
            self.assistant().content.extend(content);
            return Ok(());
        }
        self.push(Message::new(role, content), path)
    }

    fn reasoning(&mut self, item: &mut Fields) -> Result<(), ApiError> {
        item.ignore(&["summary", "encrypted_content"]);
        let path = item.path("content");
        for (index, part) in item.list("content")?.unwrap_or_default().into_iter().enumerate() {
            let mut part = Fields::at(&format!("{path}[{index}]"), part)?;
            part.ignore(&["type"]);
            let text = part.text("text")?.unwrap_or_default();
            part.finish()?;
            self.assistant().reasoning.get_or_insert_default().push_str(&text);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Message>, ApiError> {
        if let Some(assistant) = self.assistant.take() {
            self.conversation.push(assistant, "input")?;
        }
        let messages = self.conversation.into_messages();
        if messages.is_empty() {
            return Err(ApiError::field("input", "is empty; give at least one message"));
        }
        Ok(messages)
    }
}

fn read_call(item: &mut Fields) -> Result<ToolCall, ApiError> {
    let id = item.text("call_id")?;
    let name = item.text("name")?;
    let name = item.required("name", name)?;
    Ok(ToolCall { id, name, arguments: read_arguments(item)? })
}

fn read_content(content: Value, path: &str, role: Role, sources: &mut Sources<'_>) -> Result<Vec<Part>, ApiError> {
    read_parts(content, path, |part, path| read_part(part, path, role, sources))
}

fn read_part(part: Value, path: &str, role: Role, sources: &mut Sources<'_>) -> Result<Part, ApiError> {
    let mut part = Fields::at(path, part)?;
    let kind = part.text("type")?;
    let read = match part.required("type", kind)?.as_str() {
        "input_text" | "output_text" | "text" => {
            part.ignore(&["annotations", "logprobs"]);
            let text = part.text("text")?;
            Part::Text(part.required("text", text)?)
        }
        "refusal" => Part::Text(part.text("refusal")?.unwrap_or_default()),
        "input_image" if matches!(role, Role::User | Role::Tool) => {
            check_detail(&mut part)?;
            let url = part.text("image_url")?;
            let url = part.required("image_url", url)?;
            sources.image(part.path("image_url"), url)?
        }
        "input_image" => return Err(part.error("type", "pictures belong into messages of the user or of a tool")),
        _ => return Err(part.error("type", "must be input_text, output_text or input_image")),
    };
    part.finish()?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(input: Value, instructions: Option<&str>) -> Result<Vec<Message>, ApiError> {
        let limits = ServerLimits { messages: 8, ..ServerLimits::default() };
        read_input(input, instructions.map(str::to_owned), &mut Sources::new(&limits), &limits)
    }

    #[test]
    fn items_become_messages() {
        let messages = read(
            json!([
                {"role": "developer", "content": "b"},
                {"role": "user", "content": [{"type": "input_image", "image_url": "data:x", "detail": "auto"}, {"type": "input_text", "text": "?"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "I ask.", "annotations": []}]},
                {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
                {"type": "function_call_output", "call_id": "c", "output": "7"},
            ]),
            Some("a"),
        )
        .unwrap();
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
        assert_eq!(messages[0].content.len(), 3);
        assert_eq!(messages[1].content[0], Part::Image(0));
        assert_eq!(messages[2].reasoning.as_deref(), Some("hm"));
        assert_eq!(messages[2].content, [Part::Text("I ask.".to_owned())]);
        assert_eq!(messages[2].tool_calls[0].name, "f");
        assert_eq!(read(json!("hi"), None).unwrap(), [Message::text(Role::User, "hi")]);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (input, said) in [
            (json!([]), "input: is empty"),
            (json!(7), "input: must be a string or a list"),
            (json!([{"type": "item_reference", "id": "x"}]), "input[0].type: this server keeps no items"),
            (json!([{"role": "user"}]), "input[0].content: is missing"),
            (json!([{"role": "robot", "content": "x"}]), "input[0].role: must be"),
            (
                json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]),
                "content[0].type: must be",
            ),
            (json!([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]), "image_url: is missing"),
            (json!([{"role": "user", "content": "x", "mood": 1}]), "input[0].mood: is not a field"),
            (json!([{"type": "function_call", "name": "f", "arguments": "["}]), "input[0].arguments: must be"),
        ] {
            let error = read(input, None).unwrap_err().to_json();
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains(said), "{message}");
        }
    }
}
