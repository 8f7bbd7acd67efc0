//! From a question to a prompt: pictures fetched and decoded, template rendered, text tokenised.

use std::sync::Arc;

use qvl::media::ImageError;
use qvl::{Grammar, Media, ProcessorError, Prompt, PromptOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::error::ApiError;
use crate::grammar::{self, compile};
use crate::media::{Loaded, Loader, Room, estimated_bytes};
use crate::question::{Format, Question};
use crate::thinking;

/// A prompt that is ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) prompt: Prompt,
    /// What the answer's tokens may be.
    pub(crate) grammar: Option<Arc<Grammar>>,
    /// Held for as long as the prompt's pictures are in memory.
    pub(crate) room: Option<Room>,
}

/// Prepares the prompt of `question`, whose sources are taken out of it.
///
/// # Errors
/// If a picture cannot be used, the template refuses the conversation, or the prompt is too long.
pub(crate) async fn prepare(app: &Arc<App>, question: &mut Question) -> Result<Prepared, ApiError> {
    check_text(app, question.text_bytes())?;
    let sources = std::mem::take(&mut question.sources);
    let messages = std::mem::take(&mut question.messages);
    let options = prompt_options(question);
    let grammar = compile_grammar(app, question).await?;
    if sources.is_empty() {
        let turn = turn(&app.text_turns).await?;
        let prompt = blocking(app, turn, move |app, _turn| make(app, &messages, &[], &options)).await?;
        return Ok(Prepared { prompt, grammar, room: None });
    }
    let loader = Loader::fetch(sources, app.remote.as_ref(), &app.options.limits).await?;
    let turn = turn(&app.picture_turns).await?;
    let size = options.image_budget;
    let decode = move |app: &App, turn| Ok((loader.decode(&app.options.limits, &app.kept_pictures, size)?, turn));
    let (loaded, turn) = blocking(app, turn, decode).await?;
    let bytes = estimated_bytes(&loaded, app.service.processor(), &options, question.choices);
    let room = app.room.take(bytes).await?;
    let prompt = blocking(app, turn, move |app, _turn| make(app, &messages, &resize(app, loaded)?, &options)).await?;
    Ok(Prepared { prompt, grammar, room: Some(room) })
}

fn resize(app: &App, loaded: Vec<Loaded>) -> Result<Vec<Media>, ApiError> {
    let processor = app.service.processor();
    let resized = loaded.into_iter().enumerate().map(|(index, loaded)| {
        loaded.resize(&app.kept_pictures, processor).map_err(|error| picture("picture", index, &error))
    });
    resized.collect()
}

/// What the answers may be, worked out in turn: schemas can be large.
async fn compile_grammar(app: &Arc<App>, question: &Question) -> Result<Option<Arc<Grammar>>, ApiError> {
    if question.format == Format::Text && question.tools.is_none() {
        return Ok(None);
    }
    let (format, tools) = (question.format.clone(), question.tools.clone());
    let turn = turn(&app.text_turns).await?;
    blocking(app, turn, move |app, _turn| compile(app.grammars.as_ref(), &format, tools.as_ref())).await
}

/// Tokens of a text without a template, in which control tokens are text.
///
/// # Errors
/// If it is too long.
pub(crate) async fn prepare_text(app: &Arc<App>, text: String) -> Result<Prompt, ApiError> {
    check_text(app, text.len())?;
    let turn = turn(&app.text_turns).await?;
    blocking(app, turn, move |app, _turn| {
        let ids = app.service.processor().tokenizer().encode_plain(&text);
        let ids = ids.map_err(|error| failed(&qvl::Error::from(ProcessorError::from(error))))?;
        check_prompt(app, Prompt::from_tokens(ids, text))
    })
    .await
}

/// Does `work` on a thread that may block, in its turn.
async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    turn: OwnedSemaphorePermit,
    work: impl FnOnce(&App, OwnedSemaphorePermit) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let app = Arc::clone(app);
    spawn_blocking(move || work(&app, turn)).await.map_err(|_| ApiError::internal())?
}

async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    turns.clone().acquire_owned().await.map_err(|_| ApiError::internal())
}

fn check_text(app: &App, bytes: usize) -> Result<(), ApiError> {
    let limit = app.options.limits.text_bytes;
    if bytes > limit {
        let message = format!("the request has {bytes} bytes of text, the limit is {limit}; shorten it");
        return Err(ApiError::bad_request(message).code("context_length_exceeded"));
    }
    Ok(())
}

fn prompt_options(question: &mut Question) -> PromptOptions {
    let mut options = std::mem::take(&mut question.prompt);
    if let Some(tools) = &question.tools {
        options.tools.clone_from(&tools.list);
    }
    options
}

fn make(app: &App, messages: &[qvl::Message], media: &[Media], options: &PromptOptions) -> Result<Prompt, ApiError> {
    let processor = app.service.processor();
    let prompt = processor.prepare(messages, media, options);
    let mut prompt = prompt.map_err(|error| failed(&qvl::Error::from(error)))?;
    if options.enable_thinking == Some(false) {
        thinking::close(&mut prompt, processor.tokenizer());
    }
    check_prompt(app, prompt)
}

/// The prompt, if it has at least one token and room is left for an answer.
///
/// # Errors
/// Otherwise.
pub(crate) fn check_prompt(app: &App, prompt: Prompt) -> Result<Prompt, ApiError> {
    let context = app.service.config().text.max_position_embeddings;
    let limit = app.options.limits.prompt_tokens.min(context.saturating_sub(1));
    match prompt.token_ids.len() {
        0 => Err(ApiError::bad_request("the prompt is empty; give at least one character")),
        tokens if tokens > limit => Err(ApiError::prompt_too_long(tokens, limit)),
        _ => Ok(prompt),
    }
}

/// What a failure of the library means for a client. What is the server's own fault is logged and not told.
pub(crate) fn failed(error: &qvl::Error) -> ApiError {
    match error {
        qvl::Error::PromptTooLong { tokens, context } => ApiError::prompt_too_long(*tokens, context.saturating_sub(1)),
        qvl::Error::GenerationConfig(error) => ApiError::bad_request(error.to_string()),
        qvl::Error::Processor(ProcessorError::Media { kind, index, source }) => {
            picture(&kind.to_string(), *index, source)
        }
        qvl::Error::Processor(ProcessorError::Template(error)) => {
            tracing::info!("a conversation was refused: {error}");
            ApiError::field(
                "messages",
                "the model's chat template refuses this conversation; check the order of its messages",
            )
        }
        qvl::Error::Processor(error @ (ProcessorError::Dropped { .. } | ProcessorError::NoMarkLeft)) => {
            ApiError::field("messages", error)
        }
        qvl::Error::Grammar(error) => grammar::broke_off(error),
        other => {
            tracing::error!("a request failed: {other}");
            ApiError::internal()
        }
    }
}

fn picture(kind: &str, index: usize, error: &ImageError) -> ApiError {
    let what = error.to_string();
    ApiError::bad_request(format!("{kind} {} of the request: {what}", index + 1))
}
