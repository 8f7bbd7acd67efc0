//! The chat template: Jinja as Hugging Face renders it, within limits of time and size.

mod python_json;
mod strftime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, context};
use qvl_checkpoint::{ReadError, read_limited};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// The published templates have 5 KB.
const MAX_SOURCE_BYTES: u64 = 1 << 20;
/// `tokenizer_config.json` also lists the added tokens.
const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// Template instructions for an empty conversation; the published ones need a few hundred.
const BASE_FUEL: u64 = 500_000;
/// Template instructions per message, part, tool and tool call; the published ones need under 100.
const FUEL_PER_ITEM: u64 = 2_000;
/// Bytes that a template may print besides what it was given.
const BASE_OUTPUT_BYTES: usize = 4 << 20;
/// How many times a template may print what it was given.
const OUTPUT_PER_INPUT: usize = 4;

/// Why a conversation could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file is not what it should be.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// No file of the directory holds a template.
    #[error(
        "{0} has no chat template; it needs chat_template.jinja, chat_template.json, or `chat_template` in tokenizer_config.json"
    )]
    Missing(String),
    /// The template is not valid.
    #[error("the chat template is not valid: {0}")]
    Syntax(String),
    /// The template itself refused the conversation, or failed on it.
    #[error("the chat template failed: {0}")]
    Render(String),
    /// The template ran too long.
    #[error("the chat template ran for over {0} instructions and was stopped; it probably never ends")]
    TooLong(u64),
    /// The template printed too much.
    #[error("the chat template printed over {0} bytes and was stopped")]
    TooLarge(usize),
}

/// What a template is given.
pub(crate) struct TemplateInput {
    /// The messages, as [`crate::Message::to_template`] makes them.
    pub messages: Vec<serde_json::Value>,
    /// Schemas of the tools.
    pub tools: Vec<serde_json::Value>,
    /// All other variables.
    pub variables: serde_json::Map<String, serde_json::Value>,
}

impl TemplateInput {
    /// Number of messages, parts, tool calls and tools, which the template's work grows with.
    fn items(&self) -> usize {
        let inner = |message: &serde_json::Value| {
            let len = |key: &str| message.get(key).and_then(serde_json::Value::as_array).map_or(0, Vec::len);
            1 + len("content") + len("tool_calls")
        };
        self.messages.iter().map(inner).sum::<usize>() + self.tools.len()
    }

    /// Bytes of all strings, roughly.
    fn bytes(&self) -> usize {
        let messages = self.messages.iter().chain(&self.tools).map(text_bytes);
        messages.sum::<usize>() + self.variables.values().map(text_bytes).sum::<usize>()
    }
}

fn text_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(map) => map.iter().map(|(key, item)| key.len() + text_bytes(item)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// A compiled chat template, with a second one for conversations with tools where the checkpoint has it.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    sources: Vec<String>,
    has_tool_template: bool,
}

const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

impl ChatTemplate {
    /// Looks for the template of the checkpoint in `directory`: `chat_template.jinja`, then `chat_template.json`, then
    /// the `chat_template` of `tokenizer_config.json`.
    pub fn open(directory: &Path) -> Result<ChatTemplate, TemplateError> {
        let path = directory.join("chat_template.jinja");
        if path.exists() {
            let source = String::from_utf8(read_limited(&path, MAX_SOURCE_BYTES)?);
            let source = source.map_err(|_| file_error(&path, "not UTF-8"))?;
            return ChatTemplate::new(&source);
        }
        for name in ["chat_template.json", "tokenizer_config.json"] {
            let path = directory.join(name);
            if !path.exists() {
                continue;
            }
            let json = read_limited(&path, MAX_CONFIG_BYTES)?;
            let json: serde_json::Value =
                serde_json::from_slice(&json).map_err(|error| file_error(&path, &error.to_string()))?;
            if let Some(template) = json.get("chat_template").filter(|template| !template.is_null()) {
                return ChatTemplate::from_json(template).unwrap_or_else(|| {
                    Err(file_error(&path, "`chat_template` is neither a text nor a list of named texts"))
                });
            }
        }
        Err(TemplateError::Missing(directory.display().to_string()))
    }

    /// Compiles a template.
    pub fn new(source: &str) -> Result<ChatTemplate, TemplateError> {
        ChatTemplate::compile(&[(DEFAULT, source)])
    }

    /// A text, a list of `{"name": …, "template": …}`, or a map of names to texts.
    fn from_json(json: &serde_json::Value) -> Option<Result<ChatTemplate, TemplateError>> {
        if let Some(source) = json.as_str() {
            return Some(ChatTemplate::new(source));
        }
        let named = |name: &str| match json {
            serde_json::Value::Array(items) => {
                let found = items.iter().find(|item| item.get("name").and_then(|n| n.as_str()) == Some(name));
                found?.get("template")?.as_str()
            }
            other => other.get(name)?.as_str(),
        };
        let default = (DEFAULT, named(DEFAULT)?);
        Some(match named(TOOL_USE) {
            Some(tool_use) => ChatTemplate::compile(&[default, (TOOL_USE, tool_use)]),
            None => ChatTemplate::compile(&[default]),
        })
    }

    fn compile(sources: &[(&str, &str)]) -> Result<ChatTemplate, TemplateError> {
        let mut environment = environment()?;
        for (name, source) in sources {
            if source.len() as u64 > MAX_SOURCE_BYTES {
                return Err(TemplateError::Syntax(format!("it has over {MAX_SOURCE_BYTES} bytes")));
            }
            environment
                .add_template_owned((*name).to_owned(), (*source).to_owned())
                .map_err(|error| TemplateError::Syntax(describe(&error)))?;
        }
        Ok(ChatTemplate {
            environment,
            sources: sources.iter().map(|(_, source)| (*source).to_owned()).collect(),
            has_tool_template: sources.iter().any(|(name, _)| *name == TOOL_USE),
        })
    }

    /// The template texts.
    pub(crate) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// Renders a conversation.
    pub(crate) fn render(&self, input: &TemplateInput) -> Result<String, TemplateError> {
        let fuel = BASE_FUEL + FUEL_PER_ITEM * input.items() as u64;
        let limit = BASE_OUTPUT_BYTES + OUTPUT_PER_INPUT * input.bytes();
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let with_tools = !input.tools.is_empty();
        let name = if with_tools && self.has_tool_template { TOOL_USE } else { DEFAULT };
        let tools = with_tools.then_some(&input.tools);
        let context = context! { messages => Serde(&input.messages), tools => tools.map(Serde), ..Value::from(Serde(&input.variables)) };
        let mut out = LimitedText { bytes: Vec::new(), limit, full: false };
        let rendered = environment
            .get_template(name)
            .and_then(|template| template.render_captured_to(context, &mut out).map(drop));
        match rendered {
            _ if out.full => Err(TemplateError::TooLarge(limit)),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => Err(TemplateError::TooLong(fuel)),
            Err(error) => Err(TemplateError::Render(describe(&error))),
            Ok(()) => String::from_utf8(out.bytes).map_err(|_| TemplateError::Render("it printed no UTF-8".to_owned())),
        }
    }
}

fn file_error(path: &Path, what: &str) -> TemplateError {
    TemplateError::File { path: path.display().to_string(), what: what.to_owned() }
}

/// The message of an error and of those under it, in one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Text that takes only so many bytes.
struct LimitedText {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Write for LimitedText {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len().saturating_add(buffer.len()) > self.limit {
            self.full = true;
            return Err(std::io::Error::other("the output limit is reached"));
        }
        self.bytes.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The environment of Hugging Face's templates.
fn environment() -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| TemplateError::Syntax(describe(&error)))?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(format_as_python);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", |format: String| strftime::strftime(&format, SystemTime::now()));
    Ok(environment)
}

/// Python spells these values with a capital.
fn format_as_python(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let text = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return minijinja::escape_formatter(out, state, value),
    };
    out.write_str(text).map_err(Error::from)
}

fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let failed = |error| Error::new(ErrorKind::BadSerialization, "tojson").with_source(error);
    let json = serde_json::to_value(value).map_err(failed)?;
    Ok(Value::from(python_json::to_python_json(&json, indent.map(|blanks| blanks.min(16)))))
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The texts of the special tokens that `tokenizer_config.json` of `directory` names, as variables for templates.
pub(crate) fn special_texts(directory: &Path) -> Result<serde_json::Map<String, serde_json::Value>, TemplateError> {
    let path = directory.join("tokenizer_config.json");
    if !path.exists() {
        return Ok(serde_json::Map::new());
    }
    let json = read_limited(&path, MAX_CONFIG_BYTES)?;
    let json: serde_json::Value =
        serde_json::from_slice(&json).map_err(|error| file_error(&path, &error.to_string()))?;
    let text = |name: &str| {
        let value = json.get(name)?;
        let text = value.get("content").unwrap_or(value).as_str()?;
        Some((name.to_owned(), text.into()))
    };
    Ok(["bos_token", "eos_token", "pad_token", "unk_token"].into_iter().filter_map(text).collect())
}
