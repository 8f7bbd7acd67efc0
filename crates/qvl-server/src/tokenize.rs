//! `/tokenize` and `/detokenize`, in the form of vLLM.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::{JsonBody, json_response, read_json};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Sources;
use crate::messages::read_messages;
use crate::model::check_model;
use crate::prepare::{prepare, prepare_text};
use crate::prompt_options::read_prompt_options;
use crate::question::{Format, Question};
use crate::tools::{ToolForm, read_tools};

/// The tokens of a text (`prompt`), or of a conversation (`messages`) with its template and pictures.
pub(crate) async fn tokenize(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let JsonBody { mut fields, room: _room } = read_json(request, &app.bodies, &app.options.limits).await?;
    check_model(&mut fields, &app)?;
    // There is no token that a text begins with.
    fields.ignore(&["add_special_tokens", "add_generation_prompt"]);
    let prompt = match fields.text("prompt")? {
        Some(text) => {
            fields.finish()?;
            prepare_text(&app, text).await?
        }
        None => prepare(&app, &mut read_question(fields, &app)?).await?.prompt,
    };
    let object = json!({
        "count": prompt.token_ids.len(),
        "max_model_len": app.service.config().text.max_position_embeddings,
        "tokens": prompt.token_ids,
    });
    Ok(json_response(StatusCode::OK, &object))
}

fn read_question(mut fields: Fields, app: &App) -> Result<Question, ApiError> {
    let (limits, processor) = (&app.options.limits, app.service.processor());
    let mut sources = Sources::new(limits);
    let messages = fields.list("messages")?;
    let messages = messages.ok_or_else(|| ApiError::bad_request("give prompt, a text, or messages, a conversation"))?;
    let question = Question {
        messages: read_messages(messages, &mut sources, limits)?,
        sources: sources.into_list(),
        prompt: read_prompt_options(&mut fields, processor, limits)?,
        generation: app.service.generation_config().clone(),
        choices: 1,
        logprobs: None,
        tools: read_tools(&mut fields, limits, ToolForm::Nested)?,
        format: Format::Text,
    };
    fields.finish()?;
    Ok(question)
}

/// The text of `tokens`.
pub(crate) async fn detokenize(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let mut fields = read_json(request, &app.bodies, &app.options.limits).await?.fields;
    check_model(&mut fields, &app)?;
    let tokens = fields.list("tokens")?;
    let tokens = fields.required("tokens", tokens)?;
    let tokenizer = app.service.processor().tokenizer();
    let ids = tokens.iter().enumerate().map(|(index, id)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.filter(|&id| tokenizer.token_bytes(id).is_some()).ok_or_else(|| token_error(index, tokens.get(index)))
    });
    let ids = ids.collect::<Result<Vec<u32>, _>>()?;
    fields.finish()?;
    Ok(json_response(StatusCode::OK, &json!({"prompt": tokenizer.decode(&ids, false)})))
}

fn token_error(index: usize, value: Option<&Value>) -> ApiError {
    let shown = value.map(crate::fields::quoted).unwrap_or_default();
    ApiError::field(format!("tokens[{index}]"), format!("must be the id of a token, not {shown}"))
}
