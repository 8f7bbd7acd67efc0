//! What a request to `/v1/responses` says.

use qvl::GenerationConfig;
use serde_json::{Map, Value, json};

use super::input::read_input;
use crate::app::App;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Sources;
use crate::model::check_model;
use crate::prompt_options::read_prompt_options;
use crate::question::{Format, Question, read_format};
use crate::sampling::{read_max_tokens, read_sampling};
use crate::tools::{ToolForm, read_tools};

/// Fields that are repeated in the answer, and their values where the request has none.
const ECHOED: [(&str, &str); 5] = [
    ("instructions", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
];

/// Fields of this API that cannot change the answer.
const WITHOUT_EFFECT: [&str; 2] = ["max_tool_calls", "stream_options"];

/// A request, read and checked.
pub(super) struct ResponsesRequest {
    pub(super) question: Question,
    pub(super) stream: bool,
    /// Fields that are repeated in the answer.
    pub(super) echo: Map<String, Value>,
}

/// Reads the fields.
///
/// # Errors
/// Names the first field that is wrong, unknown or not supported.
pub(super) fn read(mut fields: Fields, app: &App) -> Result<ResponsesRequest, ApiError> {
    let limits = &app.options.limits;
    let echo = read_echo(&fields);
    check_model(&mut fields, app)?;
    refuse_memory(&mut fields)?;
    let instructions = fields.text("instructions")?;
    let input = fields.value("input");
    let mut sources = Sources::new(limits);
    let messages = read_input(fields.required("input", input)?, instructions, &mut sources, limits)?;
    let mut prompt = read_prompt_options(&mut fields, app.service.processor(), limits)?;
    if read_reasoning(&mut fields)? {
        prompt.enable_thinking = Some(false);
    }
    let question = Question {
        messages,
        sources: sources.into_list(),
        prompt,
        generation: read_generation(&mut fields, app)?,
        choices: 1,
        logprobs: None,
        tools: read_tools(&mut fields, limits, ToolForm::Flat)?,
        format: read_text(&mut fields, app)?,
    };
    question.check("text.format")?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    fields.ignore_bookkeeping();
    fields.ignore(&WITHOUT_EFFECT);
    fields.finish()?;
    Ok(ResponsesRequest { question, stream, echo })
}

fn read_echo(fields: &Fields) -> Map<String, Value> {
    let echo = ECHOED.iter().map(|(name, default)| {
        let value = fields.peek(name).or_else(|| serde_json::from_str(default).ok());
        ((*name).to_owned(), value.unwrap_or_default())
    });
    echo.collect()
}

/// Fields that only a server with a memory could follow.
fn refuse_memory(fields: &mut Fields) -> Result<(), ApiError> {
    let why = "is not supported: this server keeps no answers; send the whole conversation as input";
    for name in ["previous_response_id", "conversation"] {
        fields.only(name, &Value::Null, why)?;
    }
    fields.only("prompt", &Value::Null, "is not supported: this server keeps no prompts; send input")?;
    fields.only("background", &json!(false), "is not supported; wait for the answer, or stream it")?;
    fields.only("truncation", &json!("disabled"), "can only be disabled; shorten the input yourself")?;
    fields.only("top_logprobs", &json!(0), "is not supported here; use /v1/chat/completions")?;
    for item in fields.list("include")?.unwrap_or_default() {
        // Thinking is not encrypted: it is in the answer as it is.
        if item != "reasoning.encrypted_content" {
            return Err(fields.error("include", "can only have reasoning.encrypted_content"));
        }
    }
    Ok(())
}

fn read_generation(fields: &mut Fields, app: &App) -> Result<GenerationConfig, ApiError> {
    let limits = &app.options.limits;
    let mut generation = read_sampling(fields, app.service.generation_config(), app.service.processor(), limits)?;
    let max_tokens = read_max_tokens(fields, &["max_output_tokens"], limits)?;
    generation.max_new_tokens = max_tokens.unwrap_or(generation.max_new_tokens);
    Ok(generation)
}

/// Whether thinking shall be left out.
fn read_reasoning(fields: &mut Fields) -> Result<bool, ApiError> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(false) };
    let effort = reasoning.text("effort")?;
    if effort.as_deref().is_some_and(|effort| effort != "none") {
        return Err(reasoning.error("effort", "can only be none, which turns thinking off"));
    }
    for name in ["summary", "generate_summary"] {
        reasoning.only(name, &json!("auto"), "is not supported; the thinking itself is in the answer")?;
    }
    reasoning.finish()?;
    Ok(effort.is_some())
}

/// `text`: the format.
fn read_text(fields: &mut Fields, app: &App) -> Result<Format, ApiError> {
    let Some(mut text) = fields.object("text")? else { return Ok(Format::Text) };
    let format = read_format(text.object("format")?, &app.options.limits)?;
    text.only("verbosity", &json!("medium"), "cannot be set; say in the input how long the answer shall be")?;
    text.finish()?;
    Ok(format)
}
