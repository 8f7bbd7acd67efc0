//! What the tokens of an answer may be: from a format or tools to a grammar.

use std::sync::Arc;

use qvl::{Grammar, GrammarCompiler, GrammarError, Pipeline, Tool, ToolChoice};
use serde_json::Value;

use crate::error::ApiError;
use crate::question::Format;
use crate::tools::Tools;

/// Makes grammars for the model; none if its tokenizer does not allow that, which is logged.
pub(crate) fn compiler(pipeline: &Pipeline) -> Option<GrammarCompiler> {
    let made = GrammarCompiler::new(pipeline.processor().tokenizer(), &pipeline.generation_config().eos_token_ids);
    made.inspect_err(|error| tracing::warn!("answers cannot be held to a form: {error}")).ok()
}

/// The grammar for answers in `format` that may call `tools`; none where anything goes.
///
/// # Errors
/// If a schema cannot be used.
pub(crate) fn compile(
    compiler: Option<&GrammarCompiler>,
    format: &Format,
    tools: Option<&Tools>,
) -> Result<Option<Arc<Grammar>>, ApiError> {
    let compiler = || compiler.ok_or_else(|| ApiError::bad_request("this model's answers cannot be held to a form"));
    let made = match (format, tools) {
        (Format::Text, None) => return Ok(None),
        (Format::Text, Some(tools)) => match calls(compiler()?, tools) {
            // Functions that need not be called can be described in ways that no grammar can follow.
            Err(GrammarError::Schema { .. } | GrammarError::TooComplex { .. } | GrammarError::TooLarge { .. })
                if !tools.must_fit() =>
            {
                return Ok(None);
            }
            made => made.map_err(|error| refused("tools", &error)),
        },
        (Format::JsonObject, _) => compiler()?.json_object().map_err(|error| refused("response_format", &error)),
        (Format::JsonSchema { schema, strict, param }, _) => {
            compiler()?.json_schema(schema, *strict).map_err(|error| refused(param, &error))
        }
    };
    made.map(|grammar| Some(Arc::new(grammar)))
}

fn calls(compiler: &GrammarCompiler, tools: &Tools) -> Result<Grammar, GrammarError> {
    let list: Vec<Tool> = tools.list.iter().map(tool).collect();
    compiler.tool_calls(&list, &tools.choice, tools.parallel)
}

fn tool(tool: &Value) -> Tool {
    let function = &tool["function"];
    Tool {
        name: function["name"].as_str().unwrap_or_default().to_owned(),
        parameters: function.get("parameters").cloned(),
        strict: function["strict"].as_bool().unwrap_or(false),
    }
}

impl Tools {
    /// Whether the answer has to be what the tools say: a call is wanted, only one is allowed, or a schema is strict.
    fn must_fit(&self) -> bool {
        self.choice != ToolChoice::Auto || !self.parallel || self.list.iter().any(|listed| tool(listed).strict)
    }
}

/// What it means for a client that an answer could not go on under its grammar: some schemas show only at an answer's tokens
/// how much they take. Which field had the schema is not known any more.
pub(crate) fn broke_off(error: &GrammarError) -> ApiError {
    match error {
        GrammarError::Internal { .. } | GrammarError::Refused { .. } => {
            tracing::error!("an answer could not keep to its form: {error}");
            ApiError::internal()
        }
        error => ApiError::bad_request(format!("the answer could not be finished in its form: {error}")),
    }
}

/// What a failure of a grammar means for a client, who gave the schema in `param`.
fn refused(param: &str, error: &GrammarError) -> ApiError {
    match error {
        GrammarError::Internal { .. } | GrammarError::Refused { .. } => {
            tracing::error!("a grammar was not made: {error}");
            ApiError::internal()
        }
        error => ApiError::field(param, error),
    }
}
