//! What a request to `/v1/chat/completions` says.

use serde_json::json;

use crate::app::App;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Sources;
use crate::messages::read_messages;
use crate::model::check_model;
use crate::prompt_options::read_prompt_options;
use crate::question::{Question, read_format};
use crate::sampling::{read_max_tokens, read_sampling};
use crate::tools::{ToolForm, read_tools};

/// Fields of this API that cannot change the answer.
const WITHOUT_EFFECT: [&str; 2] = ["prediction", "add_generation_prompt"];

/// A request, read and checked.
pub(super) struct ChatRequest {
    pub(super) question: Question,
    /// Whether the answer is wanted piece by piece.
    pub(super) stream: bool,
    /// Whether the stream ends with the counts of tokens.
    pub(super) include_usage: bool,
}

/// Reads the fields.
///
/// # Errors
/// Names the first field that is wrong, unknown or not supported.
pub(super) fn read(mut fields: Fields, app: &App) -> Result<ChatRequest, ApiError> {
    let (limits, processor) = (&app.options.limits, app.service.processor());
    check_model(&mut fields, app)?;
    let mut sources = Sources::new(limits);
    let messages = fields.list("messages")?;
    let messages = read_messages(fields.required("messages", messages)?, &mut sources, limits)?;
    let mut prompt = read_prompt_options(&mut fields, processor, limits)?;
    if let Some(effort) = fields.text("reasoning_effort")? {
        let given = effort == "none";
        prompt.enable_thinking = given.then_some(false).or(prompt.enable_thinking);
        if !given {
            return Err(fields.error("reasoning_effort", "can only be none, which turns thinking off"));
        }
    }
    let mut generation = read_sampling(&mut fields, app.service.generation_config(), processor, limits)?;
    let max_tokens = read_max_tokens(&mut fields, &["max_completion_tokens", "max_tokens"], limits)?;
    generation.max_new_tokens = max_tokens.unwrap_or(generation.max_new_tokens);
    let question = Question {
        messages,
        sources: sources.into_list(),
        prompt,
        generation,
        choices: fields.count("n", 1, limits.choices)?.unwrap_or(1),
        logprobs: read_logprobs(&mut fields)?,
        tools: read_tools(&mut fields, limits, ToolForm::Nested)?,
        format: read_format(fields.object("response_format")?, limits)?,
    };
    question.check("response_format")?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    let include_usage = read_stream_options(&mut fields, stream)?;
    read_harmless(&mut fields)?;
    fields.finish()?;
    Ok(ChatRequest { question, stream, include_usage })
}

/// `logprobs` and how many alternatives `top_logprobs` asks for.
fn read_logprobs(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let wanted = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.count("top_logprobs", 0, qvl::MAX_TOP_LOGPROBS)?;
    match (wanted, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(fields.error("top_logprobs", "wants logprobs: true beside it")),
    }
}

/// Whether the usage is wanted at the end of the stream.
///
/// # Errors
/// If there is no stream, or another option.
pub(crate) fn read_stream_options(fields: &mut Fields, stream: bool) -> Result<bool, ApiError> {
    let Some(mut options) = fields.object("stream_options")? else { return Ok(false) };
    if !stream {
        return Err(fields.error("stream_options", "wants stream: true beside it"));
    }
    let include_usage = options.flag("include_usage")?.unwrap_or(false);
    // Padding against observers of packet sizes; nothing is padded here.
    options.ignore(&["include_obfuscation"]);
    options.finish()?;
    Ok(include_usage)
}

/// Fields that ask for nothing, or for what is done anyway.
fn read_harmless(fields: &mut Fields) -> Result<(), ApiError> {
    fields.ignore_bookkeeping();
    fields.ignore(&WITHOUT_EFFECT);
    fields.only("modalities", &json!(["text"]), "can only be [\"text\"]")?;
    fields.only("verbosity", &json!("medium"), "cannot be set; say in the prompt how long the answer shall be")?;
    for old in ["functions", "function_call"] {
        fields.only(old, &json!([]), "is not supported; use tools and tool_choice")?;
    }
    Ok(())
}
