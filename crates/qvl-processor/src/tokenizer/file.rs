//! `tokenizer.json`, read in one pass.

use serde::Deserialize;
use tokenizers::NormalizerWrapper;
use tokenizers::models::bpe::BPE;

/// The parts of `tokenizer.json` that decide about ids. Truncation and padding are the caller's business,
/// not the file's, and the post-processor of this family adds no tokens.
#[derive(Deserialize)]
pub(super) struct TokenizerFile {
    #[serde(default)]
    pub added_tokens: Vec<AddedToken>,
    pub normalizer: Option<NormalizerWrapper>,
    pub pre_tokenizer: PreTokenizer,
    pub decoder: Step,
    pub model: BPE,
}

/// A token that is matched in the raw text before anything else.
#[derive(Deserialize)]
pub(super) struct AddedToken {
    pub id: u32,
    pub content: String,
    #[serde(default)]
    pub special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

impl AddedToken {
    /// Whether the token matches just where its text stands.
    pub(super) fn is_plain(&self) -> bool {
        !(self.content.is_empty() || self.single_word || self.lstrip || self.rstrip)
    }
}

/// The pre-tokenizer: a pattern, then bytes as characters.
#[derive(Deserialize)]
pub(super) struct PreTokenizer {
    #[serde(default)]
    pretokenizers: Vec<Step>,
}

/// One step of the pre-tokenizer, or the decoder.
#[derive(Deserialize)]
pub(super) struct Step {
    #[serde(rename = "type")]
    kind: String,
    pattern: Option<Pattern>,
    behavior: Option<String>,
    #[serde(default)]
    invert: bool,
    #[serde(default)]
    add_prefix_space: bool,
    #[serde(default)]
    use_regex: bool,
}

#[derive(Deserialize)]
enum Pattern {
    Regex(String),
    String(serde::de::IgnoredAny),
}

impl Step {
    pub(super) fn is_byte_level(&self) -> bool {
        self.kind == "ByteLevel"
    }

    fn regex(&self) -> Option<&str> {
        match &self.pattern {
            Some(Pattern::Regex(pattern))
                if self.kind == "Split" && self.behavior.as_deref() == Some("Isolated") && !self.invert =>
            {
                Some(pattern)
            }
            Some(Pattern::String(_) | Pattern::Regex(_)) | None => None,
        }
    }
}

impl PreTokenizer {
    /// The pattern, if this is the family's pair of steps.
    pub(super) fn pattern(&self) -> Option<&str> {
        let [split, bytes] = self.pretokenizers.as_slice() else {
            return None;
        };
        let plain_bytes = bytes.is_byte_level() && !bytes.add_prefix_space && !bytes.use_regex;
        split.regex().filter(|_| plain_bytes)
    }
}
