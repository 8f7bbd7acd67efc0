//! Functions that a model may call, as a grammar.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::error::GrammarError;
use super::limits;

/// A function that may be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name: 1 to 64 letters, digits, `_`, `-` or `.`.
    pub name: String,
    /// The JSON schema of its arguments, an object; without one any object will do.
    pub parameters: Option<Value>,
    /// Whether parts of the schema that cannot be kept to are errors; otherwise they are passed over.
    pub strict: bool,
}

impl Tool {
    /// The schema of the arguments, which are an object even where the schema does not say so.
    pub(super) fn arguments_schema(&self) -> Value {
        let mut schema = self.parameters.clone().unwrap_or_else(|| json!({}));
        if let Value::Object(entries) = &mut schema {
            entries.entry("type").or_insert_with(|| "object".into());
        }
        schema
    }
}

/// Which functions may or must be called, as in OpenAI's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// Text, calls, or text and calls after it.
    Auto,
    /// At least one call and no text.
    Required,
    /// This function, once.
    Named(String),
}

/// The tools that may be called.
pub(super) fn callable<'t>(tools: &'t [Tool], choice: &ToolChoice) -> Result<Vec<&'t Tool>, GrammarError> {
    limits::check("the list of tools", "tools", tools.len(), limits::TOOLS)?;
    let mut names = HashSet::new();
    for Tool { name, .. } in tools {
        if !is_name(name) {
            return Err(GrammarError::FunctionName { name: name.chars().take(100).collect() });
        }
        if !names.insert(name) {
            return Err(GrammarError::DuplicateFunction { name: name.clone() });
        }
    }
    let wanted = |tool: &&Tool| !matches!(choice, ToolChoice::Named(name) if *name != tool.name);
    let callable: Vec<&Tool> = tools.iter().filter(wanted).collect();
    if !callable.is_empty() {
        return Ok(callable);
    }
    let name = if let ToolChoice::Named(name) = choice { Some(name.chars().take(100).collect()) } else { None };
    Err(GrammarError::NoFunction { name })
}

/// Names that stand for themselves in JSON and in the grammar.
fn is_name(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(usual)
}

/// The name of the grammar of a tool's arguments.
pub(super) fn arguments_name(index: usize) -> String {
    format!("arguments_{index}")
}

/// The calls in the Lark syntax of `llguidance`; `tags` are the tokens around a call.
pub(super) fn lark(tools: &[&Tool], choice: &ToolChoice, parallel: bool, (open, close): (u32, u32)) -> String {
    let calls = if parallel && !matches!(choice, ToolChoice::Named(_)) { "call (\"\\n\" call)*" } else { "call" };
    let mut grammar = match choice {
        ToolChoice::Auto => format!("start: TEXT? | TEXT? {calls}\nTEXT: /(?s:.+)/\n"),
        ToolChoice::Required | ToolChoice::Named(_) => format!("start: {calls}\n"),
    };
    let _ = writeln!(grammar, "call: <[{open}]> \"\\n\" object \"\\n\" <[{close}]>");
    let objects: Vec<String> = (0..)
        .zip(tools)
        .map(|(index, tool)| {
            let head = format!("{{\"name\": \"{}\", \"arguments\": ", tool.name);
            format!("{} @{} \"}}\"", Value::from(head), arguments_name(index))
        })
        .collect();
    let _ = writeln!(grammar, "object: {}", objects.join(" | "));
    grammar
}
