//! The tokenizer as `llguidance` wants it.

use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, INVALID_TOKEN, TokEnv, TokRxInfo, TokTrie};
use qvl_processor::Tokenizer;

use super::error::GrammarError;
use crate::reasoning::ThinkTags;

/// Longer tokens are never allowed; the longest published one has 128 bytes.
const MAX_TOKEN_BYTES: usize = 512;

/// What a constraint must know of the tokens.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Tokens that end an answer.
    pub(super) ends: Vec<u32>,
    pub(super) think: ThinkTags,
    /// Tokens that are one or two line breaks, and how many.
    pub(super) breaks: Vec<(u32, u8)>,
    /// The tags of a call.
    pub(super) call_tags: Option<(u32, u32)>,
}

impl Vocabulary {
    pub(super) fn new(tokenizer: &Tokenizer, ends: &[u32]) -> Self {
        let ids = 0..u32::try_from(tokenizer.id_count()).unwrap_or(u32::MAX);
        let breaks = |id| match tokenizer.token_bytes(id)? {
            b"\n" => Some((id, 1)),
            b"\n\n" => Some((id, 2)),
            _ => None,
        };
        Self {
            ends: ends.to_vec(),
            think: ThinkTags::of(tokenizer),
            breaks: ids.filter_map(breaks).collect(),
            call_tags: tokenizer.token_id(crate::tool_calls::OPEN).zip(tokenizer.token_id(crate::tool_calls::CLOSE)),
        }
    }
}

/// All tokens with their bytes, control tokens set apart so that no text contains them.
///
/// # Errors
/// If a token that ends an answer is none of the tokenizer's.
pub(super) fn token_environment(tokenizer: &Tokenizer, ends: &[u32]) -> Result<TokEnv, GrammarError> {
    let count = u32::try_from(tokenizer.id_count()).unwrap_or(u32::MAX);
    if ends.iter().any(|&end| end >= count) {
        return Err(GrammarError::Tokenizer { what: "token to end an answer" });
    }
    let mut words: Vec<Vec<u8>> = (0..count).map(|id| word(tokenizer.token_bytes(id).unwrap_or_default())).collect();
    for id in tokenizer.control_ids() {
        if let Some(word) = words.get_mut(id as usize) {
            word.insert(0, TokTrie::SPECIAL_TOKEN_MARKER);
        }
    }
    let first_end = ends.first().copied().unwrap_or(INVALID_TOKEN);
    let mut trie = TokTrie::from(&TokRxInfo::new(count, first_end), &words);
    if !ends.is_empty() {
        trie = trie.with_eos_tokens(ends);
    }
    Ok(Arc::new(ApproximateTokEnv::new(trie)))
}

/// A token's bytes; none for one that can be in no text, and would be taken for a control token.
fn word(bytes: &[u8]) -> Vec<u8> {
    let usable = bytes.len() <= MAX_TOKEN_BYTES && bytes.first() != Some(&TokTrie::SPECIAL_TOKEN_MARKER);
    if usable { bytes.to_vec() } else { Vec::new() }
}
