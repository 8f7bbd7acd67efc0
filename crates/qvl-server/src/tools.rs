//! `tools` and `tool_choice`: which functions the model may or must call.

use qvl::ToolChoice;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::fields::Fields;
use crate::options::ServerLimits;

/// Longest name of a function, as in OpenAI's API.
const MAX_NAME_BYTES: usize = 64;

/// The functions of a request, and what the model may do with them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tools {
    /// The functions in the form `{"type": "function", "function": {…}}`, which templates print.
    pub(crate) list: Vec<Value>,
    /// Whether one may or must be called.
    pub(crate) choice: ToolChoice,
    /// Whether several may be called in one answer.
    pub(crate) parallel: bool,
}

/// Reads `tools`, `tool_choice` and `parallel_tool_calls`; with no tools, or the choice `none`, there is nothing to call.
///
/// # Errors
/// Names the first field that is wrong.
pub(crate) fn read_tools(
    fields: &mut Fields,
    limits: &ServerLimits,
    form: ToolForm,
) -> Result<Option<Tools>, ApiError> {
    let given = fields.list("tools")?.unwrap_or_default();
    let parallel = fields.flag("parallel_tool_calls")?.unwrap_or(true);
    if given.len() > limits.tools {
        return Err(fields.error("tools", format!("over {} functions; give fewer", limits.tools)));
    }
    let path = fields.path("tools");
    let list = given.into_iter().enumerate().map(|(index, tool)| read_tool(tool, &format!("{path}[{index}]"), form));
    let list = list.collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = list.iter().map(|tool| tool.to_string().len()).sum();
    if bytes > limits.schema_bytes {
        let what = format!("have {bytes} bytes together, the limit is {}; shorten them", limits.schema_bytes);
        return Err(fields.error("tools", what));
    }
    let choice = read_choice(fields, &list, form)?;
    Ok(choice.filter(|_| !list.is_empty()).map(|choice| Tools { list, choice, parallel }))
}

/// How an endpoint writes a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolForm {
    /// `/v1/chat/completions`: the function is an object of its own.
    Nested,
    /// `/v1/responses`: its fields lie beside the type.
    Flat,
}

fn read_tool(tool: Value, path: &str, form: ToolForm) -> Result<Value, ApiError> {
    let mut tool = Fields::at(path, tool)?;
    let kind = tool.text("type")?;
    if tool.required("type", kind)? != "function" {
        return Err(tool.error("type", "must be function; other tools are not there"));
    }
    let mut function = match form {
        ToolForm::Flat => tool,
        ToolForm::Nested => {
            let function = tool.object("function")?;
            let function = tool.required("function", function)?;
            tool.finish()?;
            function
        }
    };
    let name = read_name(&mut function)?;
    let description = function.text("description")?;
    let parameters = function.value("parameters");
    let strict = function.flag("strict")?;
    if parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
        return Err(function.error("parameters", "must be a JSON schema, which is an object"));
    }
    function.finish()?;
    let mut function = json!({"name": name});
    let optional = [
        ("description", description.map(Value::from)),
        ("parameters", parameters),
        ("strict", strict.map(Value::from)),
    ];
    for (key, value) in optional {
        if let (Some(value), Some(map)) = (value, function.as_object_mut()) {
            map.insert(key.to_owned(), value);
        }
    }
    Ok(json!({"type": "function", "function": function}))
}

fn read_name(function: &mut Fields) -> Result<String, ApiError> {
    let name = function.text("name")?;
    let name = function.required("name", name)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name) {
        let what = format!("must be 1 to {MAX_NAME_BYTES} letters, digits, dots, hyphens and underscores");
        return Err(function.error("name", what));
    }
    Ok(name)
}

fn read_choice(fields: &mut Fields, tools: &[Value], form: ToolForm) -> Result<Option<ToolChoice>, ApiError> {
    let path = fields.path("tool_choice");
    let choice = match fields.value("tool_choice") {
        None => return Ok(Some(ToolChoice::Auto)),
        Some(Value::String(choice)) => match choice.as_str() {
            "none" => return Ok(None),
            "auto" => ToolChoice::Auto,
            "required" => ToolChoice::Required,
            _ => return Err(ApiError::field(path, "must be none, auto, required, or a function")),
        },
        Some(object) => ToolChoice::Named(read_named(Fields::at(&path, object)?, form)?),
    };
    if tools.is_empty() && choice != ToolChoice::Auto {
        return Err(ApiError::field(path, "wants a call, but there are no tools"));
    }
    if let ToolChoice::Named(name) = &choice
        && !tools.iter().any(|tool| tool["function"]["name"] == name.as_str())
    {
        return Err(ApiError::field(path, "names a function that is not among the tools"));
    }
    Ok(Some(choice))
}

fn read_named(mut choice: Fields, form: ToolForm) -> Result<String, ApiError> {
    if choice.text("type")?.as_deref() != Some("function") {
        return Err(choice.error("type", "must be function"));
    }
    let mut named = match form {
        ToolForm::Flat => choice,
        ToolForm::Nested => {
            let function = choice.object("function")?;
            let function = choice.required("function", function)?;
            choice.finish()?;
            function
        }
    };
    let name = named.text("name")?;
    let name = named.required("name", name)?;
    named.finish()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: Value, form: ToolForm) -> Result<Option<Tools>, ApiError> {
        let limits = ServerLimits { tools: 3, schema_bytes: 1000, ..ServerLimits::default() };
        read_tools(&mut Fields::of_request(request).unwrap(), &limits, form)
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
    }

    #[test]
    fn both_forms_become_one() {
        let flat = json!({"type": "function", "name": "f", "parameters": {"type": "object"}});
        let nested = read(json!({"tools": [tool("f")]}), ToolForm::Nested).unwrap().unwrap();
        assert_eq!(read(json!({"tools": [flat]}), ToolForm::Flat).unwrap().unwrap(), nested);
        assert_eq!(nested.list, [tool("f")]);
        assert!(nested.parallel && nested.choice == ToolChoice::Auto);
    }

    #[test]
    fn choices_are_read() {
        let choose = |choice: Value| read(json!({"tools": [tool("f")], "tool_choice": choice}), ToolForm::Nested);
        assert_eq!(choose(json!("none")).unwrap(), None);
        assert_eq!(choose(json!("required")).unwrap().unwrap().choice, ToolChoice::Required);
        let named = json!({"type": "function", "function": {"name": "f"}});
        assert_eq!(choose(named).unwrap().unwrap().choice, ToolChoice::Named("f".into()));
        assert!(choose(json!({"type": "function", "function": {"name": "g"}})).is_err());
        assert!(choose(json!("maybe")).is_err());
        assert!(read(json!({"tool_choice": "required"}), ToolForm::Nested).is_err());
        assert_eq!(read(json!({"tools": [], "tool_choice": "auto"}), ToolForm::Nested).unwrap(), None);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (tools, said) in [
            (json!([tool("a"), tool("b"), tool("c"), tool("d")]), "over 3 functions"),
            (json!([{"type": "web_search"}]), "tools[0].type: must be function"),
            (json!([{"type": "function"}]), "tools[0].function: is missing"),
            (json!([tool("<|im_end|>")]), "tools[0].function.name: must be"),
            (json!([tool(&"x".repeat(65))]), "tools[0].function.name: must be"),
            (json!([{"type": "function", "function": {"name": "f", "parameters": []}}]), "must be a JSON schema"),
            (
                json!([{"type": "function", "function": {"name": "f", "description": "x".repeat(2000)}}]),
                "the limit is 1000",
            ),
        ] {
            let error = read(json!({"tools": tools}), ToolForm::Nested).unwrap_err().to_json();
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains(said), "{message}");
        }
    }
}
