//! The messages of a conversation, as `/v1/chat/completions` has them.

use qvl::{Message, Part, Role, ToolCall};
use serde_json::Value;

use crate::content::read_content;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Sources;
use crate::options::ServerLimits;

/// Reads `messages`; pictures and videos go to `sources`.
///
/// System messages stand at the beginning, several of them as one: the published templates drop later ones.
///
/// # Errors
/// Names the first field that is wrong.
pub(crate) fn read_messages(
    list: Vec<Value>,
    sources: &mut Sources<'_>,
    limits: &ServerLimits,
) -> Result<Vec<Message>, ApiError> {
    if list.is_empty() {
        return Err(ApiError::field("messages", "is empty; give at least one message"));
    }
    if list.len() > limits.messages {
        return Err(ApiError::field("messages", format!("over {} messages; give fewer", limits.messages)));
    }
    let mut conversation = Conversation::default();
    for (index, value) in list.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let message = read_message(Fields::at(&path, value)?, sources)?;
        conversation.push(message, &path)?;
    }
    Ok(conversation.into_messages())
}

/// Messages in the order that templates want.
#[derive(Debug, Default)]
pub(crate) struct Conversation(Vec<Message>);

impl Conversation {
    /// Adds a message.
    ///
    /// # Errors
    /// For a system message after one of another role.
    pub(crate) fn push(&mut self, message: Message, path: &str) -> Result<(), ApiError> {
        if message.role == Role::System
            && let Some(last) = self.0.last_mut()
        {
            if last.role != Role::System {
                let what = "system and developer messages stand before all others; move it to the beginning";
                return Err(ApiError::field(format!("{path}.role"), what));
            }
            last.content.push(Part::Text("\n\n".to_owned()));
            last.content.extend(message.content);
            return Ok(());
        }
        self.0.push(message);
        Ok(())
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.0
    }
}

fn read_message(mut fields: Fields, sources: &mut Sources<'_>) -> Result<Message, ApiError> {
    let role = read_role(&mut fields)?;
    let content = fields.value("content");
    let mut message = Message::new(role, Vec::new());
    if let Some(content) = content {
        let path = fields.path("content");
        message.content = read_content(content, &path, role, sources)?;
    }
    if role == Role::Assistant {
        let reasoning = fields.text("reasoning_content")?;
        message.reasoning = reasoning.or(fields.text("reasoning")?);
        message.tool_calls = read_tool_calls(&mut fields)?;
        // Python's client sends back what it parsed from the content.
        fields.ignore(&["refusal", "annotations", "parsed"]);
    } else if message.content.is_empty() && role != Role::Tool {
        return Err(fields.error("content", "is missing"));
    }
    if role == Role::Tool {
        // Templates do not show it: the answers of tools stand in the order of the calls.
        fields.text("tool_call_id")?;
    }
    // Templates have no place for a speaker's name.
    fields.ignore(&["name"]);
    fields.finish()?;
    Ok(message)
}

fn read_role(fields: &mut Fields) -> Result<Role, ApiError> {
    let name = fields.text("role")?;
    let name = fields.required("role", name)?;
    match name.as_str() {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" => Ok(Role::Tool),
        _ => Err(fields.error("role", "must be system, developer, user, assistant or tool")),
    }
}

fn read_tool_calls(fields: &mut Fields) -> Result<Vec<ToolCall>, ApiError> {
    let path = fields.path("tool_calls");
    let calls = fields.list("tool_calls")?.unwrap_or_default();
    let calls = calls.into_iter().enumerate().map(|(index, call)| {
        let mut call = Fields::at(&format!("{path}[{index}]"), call)?;
        let function = call.object("function")?;
        let mut function = call.required("function", function)?;
        let id = call.text("id")?;
        call.ignore(&["type", "index"]);
        call.finish()?;
        let name = function.text("name")?;
        let name = function.required("name", name)?;
        let arguments = read_arguments(&mut function)?;
        // Python's client sends back what it parsed from the arguments.
        function.ignore(&["parsed_arguments"]);
        function.finish()?;
        Ok(ToolCall { id, name, arguments })
    });
    calls.collect()
}

/// The arguments of a call: JSON of an object, written as a string. What is no such thing could not have been called.
///
/// # Errors
/// If it is another thing.
pub(crate) fn read_arguments(function: &mut Fields) -> Result<Value, ApiError> {
    let text = match function.value("arguments") {
        None => return Ok(Value::Object(serde_json::Map::new())),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Value::Object(serde_json::Map::new())),
        Some(object @ Value::Object(_)) => return Ok(object),
        Some(Value::String(text)) => text,
        Some(_) => return Err(function.error("arguments", "must be a string that holds a JSON object")),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(_)) => Ok(Value::String(text)),
        _ => Err(function.error("arguments", "must be a string that holds a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::media::Source;

    fn read(messages: Value) -> Result<(Vec<Message>, Vec<Source>), ApiError> {
        let limits = ServerLimits { messages: 8, ..ServerLimits::default() };
        let mut sources = Sources::new(&limits);
        let Value::Array(list) = messages else { panic!("the test gives no list") };
        Ok((read_messages(list, &mut sources, &limits)?, sources.into_list()))
    }

    fn refused(messages: Value) -> String {
        let error = read(messages).unwrap_err().to_json();
        error["error"]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_conversation_with_pictures_and_tools_is_read() {
        let (messages, sources) = read(json!([
            {"role": "developer", "content": "a"},
            {"role": "system", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "name": "me", "content": [
                {"type": "image_url", "image_url": {"url": "data:x", "detail": "auto"}},
                {"type": "video", "video": ["data:1", "data:2"]},
                {"type": "video_url", "video_url": {"url": "data:v"}},
                {"type": "text", "text": "?"}]},
            {"role": "assistant", "content": null, "refusal": null, "parsed": {"a": 1}, "tool_calls": [
                {"id": "c", "type": "function", "function":
                    {"name": "f", "arguments": "{\"a\": 1}", "parsed_arguments": {"a": 1}}}]},
            {"role": "tool", "tool_call_id": "c", "content": "7"},
        ]))
        .unwrap();
        assert_eq!(messages.len(), 4);
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(messages[0].content, [text("a"), text("\n\n"), text("b")]);
        assert_eq!(messages[1].content, [Part::Image(0), Part::Video(1), Part::Video(2), text("?")]);
        assert_eq!(messages[2].tool_calls[0].arguments, json!("{\"a\": 1}"));
        let params: Vec<&str> = sources.iter().map(|source| source.param.as_str()).collect();
        assert_eq!(
            params,
            ["messages[2].content[0].image_url", "messages[2].content[1].video", "messages[2].content[2].video_url"]
        );
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (messages, said) in [
            (json!([]), "messages: is empty"),
            (json!([1]), "messages[0]: must be an object"),
            (json!([{"content": "x"}]), "messages[0].role: is missing"),
            (json!([{"role": "narrator", "content": "x"}]), "messages[0].role: must be"),
            (json!([{"role": "user"}]), "messages[0].content: is missing"),
            (json!([{"role": "user", "content": 5}]), "messages[0].content: must be a string"),
            (json!([{"role": "user", "content": "x", "mood": 1}]), "messages[0].mood: is not a field"),
            (json!([{"role": "user", "content": [{"type": "input_audio"}]}]), "messages[0].content[0].type: must be"),
            (json!([{"role": "user", "content": [{"type": "image_url"}]}]), "image_url: is missing"),
            (
                json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "low"}}]}]),
                "detail: must be auto or high",
            ),
            (
                json!([{"role": "assistant", "content": [{"type": "image_url", "image_url": "x"}]}]),
                "messages of the user or of a tool",
            ),
            (
                json!([{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]),
                "messages[1].role: system and developer messages stand before",
            ),
            (
                json!([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}]),
                "tool_calls[0].function.arguments: must be a string that holds a JSON object",
            ),
            (Value::Array(vec![json!({"role": "user", "content": "x"}); 9]), "over 8 messages"),
        ] {
            let message = refused(messages);
            assert!(message.contains(said), "{message}");
        }
    }
}
