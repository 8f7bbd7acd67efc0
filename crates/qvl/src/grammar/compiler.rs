//! From a schema, tools or a list of choices to a grammar over the tokens of one model.

use std::sync::Arc;

use llguidance::api::{GrammarWithLexer, ParserLimits, TopLevelGrammar};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory, TokenParser, regex_to_lark};
use qvl_processor::Tokenizer;
use serde_json::{Value, json};

use super::error::GrammarError;
use super::limits::{self, check_schema};
use super::tools::{self, Tool, ToolChoice};
use super::vocabulary::{Vocabulary, token_environment};

/// White space between the parts of JSON: a space, or a line break and indentation. It has an end, because models that
/// may go on for ever sometimes do.
const WHITE_SPACE: &str = r" |\n[ \t]{0,40}";

/// Makes grammars for the tokens of one tokenizer. Making one takes a moment and some ten megabytes; it can be shared.
pub struct GrammarCompiler {
    factory: ParserFactory,
    vocabulary: Arc<Vocabulary>,
}

/// What the tokens of an answer may be; to be shared between all answers of that form.
pub struct Grammar {
    /// As it is before the first token.
    parser: TokenParser,
    vocabulary: Arc<Vocabulary>,
}

impl GrammarCompiler {
    /// For answers in the tokens of `tokenizer` that end with one of `ends`, the `eos_token_ids` of the model's
    /// [`GenerationConfig`](crate::GenerationConfig).
    ///
    /// # Errors
    /// If the tokenizer is not usable.
    pub fn new(tokenizer: &Tokenizer, ends: &[u32]) -> Result<Self, GrammarError> {
        let factory = on_deep_stack(|| {
            let mut factory = ParserFactory::new_simple(&token_environment(tokenizer, ends)?)
                .map_err(|error| GrammarError::Internal { reason: error.to_string() })?;
            factory.quiet();
            *factory.limits_mut() = ParserLimits {
                max_lexer_states: limits::LEXER_STATES,
                max_grammar_size: limits::GRAMMAR_SYMBOLS,
                max_items_in_row: limits::ROW_ITEMS,
                step_max_items: limits::STEP_ITEMS,
                verbose_errors: false,
                ..ParserLimits::default()
            };
            Ok(factory)
        })?;
        Ok(Self { factory, vocabulary: Arc::new(Vocabulary::new(tokenizer, ends)) })
    }

    /// Any JSON object.
    ///
    /// # Errors
    /// If the library fails.
    pub fn json_object(&self) -> Result<Grammar, GrammarError> {
        self.json_schema(&json!({ "type": "object" }), true)
    }

    /// JSON that is valid by `schema`: the parts of JSON Schema 2020-12 that can be generated from left to right, with
    /// `$ref` inside the document. Properties come in the order of the schema. `oneOf` is taken as `anyOf`.
    ///
    /// If `strict`, keywords and formats that cannot be kept to are errors; otherwise they are passed over.
    ///
    /// # Errors
    /// If the schema is no schema, cannot be generated, or exceeds a limit; the message says which.
    pub fn json_schema(&self, schema: &Value, strict: bool) -> Result<Grammar, GrammarError> {
        self.compile(|| Ok(TopLevelGrammar::from_json_schema(json_grammar(schema, strict)?)))
    }

    /// Calls of `tools` in the form that the template teaches, with arguments that are valid by their schemas; text
    /// before them if `choice` leaves it open whether to call. More than one call only if they may be `parallel`.
    ///
    /// # Errors
    /// If a name or a schema is not usable, or `choice` names no tool.
    pub fn tool_calls(&self, tools: &[Tool], choice: &ToolChoice, parallel: bool) -> Result<Grammar, GrammarError> {
        let tags = self.vocabulary.call_tags.ok_or(GrammarError::Tokenizer { what: "<tool_call>" })?;
        let callable = tools::callable(tools, choice)?;
        self.compile(|| {
            let mut grammars = vec![GrammarWithLexer::from_lark(tools::lark(&callable, choice, parallel, tags))];
            for (index, tool) in callable.iter().enumerate() {
                let schema = json_grammar(&tool.arguments_schema(), tool.strict)?;
                let grammar = GrammarWithLexer::from_json_schema(schema);
                grammars.push(GrammarWithLexer { name: Some(tools::arguments_name(index)), ..grammar });
            }
            Ok(TopLevelGrammar { grammars, max_tokens: None })
        })
    }

    /// One of `choices`, as it is.
    ///
    /// # Errors
    /// If there are none or too many.
    pub fn choice(&self, choices: &[String]) -> Result<Grammar, GrammarError> {
        let bytes = choices.iter().map(String::len).sum();
        limits::check("the list of choices", "bytes", bytes, limits::SCHEMA_BYTES)?;
        if choices.iter().all(String::is_empty) {
            return Err(GrammarError::Schema { reason: "there is nothing to choose from".to_owned() });
        }
        let alternatives: Vec<String> = choices.iter().map(|choice| Value::from(choice.as_str()).to_string()).collect();
        self.compile(|| Ok(TopLevelGrammar::from_lark(format!("start: {}", alternatives.join(" | ")))))
    }

    /// Text that matches the whole of a regular expression in the syntax of the crate `regex`, without anchors; `\d` and
    /// `\w` are ASCII, as in the patterns of a schema.
    ///
    /// # Errors
    /// If it is not such an expression or exceeds a limit.
    pub fn regex(&self, pattern: &str) -> Result<Grammar, GrammarError> {
        limits::check("the pattern", "bytes", pattern.len(), limits::PATTERN_BYTES)?;
        self.compile(|| Ok(TopLevelGrammar::from_lark(format!("start: /{}/", regex_to_lark(pattern, "dw")))))
    }

    fn compile(
        &self,
        grammar: impl FnOnce() -> Result<TopLevelGrammar, GrammarError> + Send,
    ) -> Result<Grammar, GrammarError> {
        let parser = on_deep_stack(|| {
            let parser = self.factory.create_parser(grammar()?).map_err(GrammarError::of_compiling)?;
            first_step(&parser)?;
            Ok(parser)
        })?;
        Ok(Grammar { parser, vocabulary: self.vocabulary.clone() })
    }
}

impl Grammar {
    /// A matcher at the beginning. It shares no state with others, so that each has the whole of its limits.
    pub(super) fn matcher(&self) -> Matcher {
        Matcher::new(Ok(self.parser.deep_clone()))
    }

    pub(super) fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }
}

/// Computes the tokens that an answer may begin with: what fails here would fail in every answer.
fn first_step(parser: &TokenParser) -> Result<(), GrammarError> {
    let mut matcher = Matcher::new(Ok(parser.deep_clone()));
    let Err(error) = matcher.compute_mask() else { return Ok(()) };
    if error.to_string().starts_with("NoExtension") {
        return Err(GrammarError::Schema { reason: "no finite answer is valid by it".to_owned() });
    }
    Err(GrammarError::of_running(error))
}

/// `schema`, checked, with our options for compiling it in the place where the library looks for them.
fn json_grammar(schema: &Value, strict: bool) -> Result<Value, GrammarError> {
    check_schema(schema)?;
    let options = JsonCompileOptions {
        whitespace_pattern: Some(WHITE_SPACE.to_owned()),
        coerce_one_of: true,
        lenient: !strict,
        ..JsonCompileOptions::default()
    };
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        Value::Bool(true) => json!({}),
        _ => return Err(GrammarError::Schema { reason: "it is not a JSON object".to_owned() }),
    };
    options.apply_to(&mut schema);
    Ok(schema)
}

/// Runs `work` on a thread with room for deep recursion, and catches a panic.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, GrammarError> + Send) -> Result<T, GrammarError> {
    let internal = |reason: String| GrammarError::Internal { reason };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("grammar".to_owned()).stack_size(limits::STACK_BYTES);
        let handle = thread.spawn_scoped(scope, work).map_err(|error| internal(error.to_string()))?;
        handle.join().unwrap_or_else(|_| Err(internal("panic".to_owned())))
    })
}

impl std::fmt::Debug for GrammarCompiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarCompiler").field("vocabulary", &self.vocabulary).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Grammar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}
