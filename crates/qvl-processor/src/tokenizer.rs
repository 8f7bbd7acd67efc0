//! Text to token ids and back: byte-level BPE with control tokens, SPEC §3.
//!
//! The merges and the normalisation are those of the `tokenizers` crate. Finding control tokens is done here, because
//! whether a `<|im_start|>` in the text is a control token depends on who wrote it (see [`crate::guard`]).

mod bytes;
mod file;
mod split;

use file::TokenizerFile;
use qvl_checkpoint::{ReadError, read_limited};
use regex::Regex;
use split::Splitter;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use tokenizers::models::bpe::BPE;
use tokenizers::{Model, NormalizedString, Normalizer, NormalizerWrapper};

/// The published file has 11 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Ids beyond this are a lie: the published table has 151,936 rows.
const MAX_ID: u32 = 1 << 22;

/// Why a tokenizer cannot be used, or a text not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not a byte-level BPE tokenizer.
    #[error("{path}: not a byte-level BPE tokenizer: {source}; use the tokenizer.json of the Qwen3-VL checkpoint")]
    Parse {
        /// The file.
        path: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The file asks for something this family does not use.
    #[error("{path}: {what} is not supported; use the tokenizer.json of the Qwen3-VL checkpoint")]
    Unsupported {
        /// The file.
        path: String,
        /// What it asks for.
        what: String,
    },
    /// The `tokenizers` crate failed on a text.
    #[error("cannot tokenize the text: {0}")]
    Encode(String),
}

/// A loaded tokenizer.
pub struct Tokenizer {
    normalizer: Option<NormalizerWrapper>,
    splitter: Splitter,
    model: BPE,
    controls: HashMap<String, Control>,
    /// Matches the longest control token at a place; none when there are no control tokens.
    control_pattern: Option<Regex>,
    /// Bytes of all tokens, one after another.
    token_bytes: Vec<u8>,
    /// Where token `id` lies in `token_bytes`: `token_ends[id]..token_ends[id + 1]`.
    token_ends: Vec<u32>,
    special: Vec<u32>,
}

/// What is known of a control token besides its text.
#[derive(Clone, Copy, Debug)]
struct Control {
    id: u32,
    special: bool,
}

/// A stretch of text between control tokens, or a control token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'t> {
    Text(&'t str),
    Control(u32),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn open(path: &Path) -> Result<Tokenizer, TokenizerError> {
        let name = path.display().to_string();
        let json = read_limited(path, MAX_FILE_BYTES)?;
        let file: TokenizerFile =
            serde_json::from_slice(&json).map_err(|source| TokenizerError::Parse { path: name.clone(), source })?;
        drop(json);
        Tokenizer::from_file(file).map_err(|what| TokenizerError::Unsupported { path: name, what })
    }

    fn from_file(file: TokenizerFile) -> Result<Tokenizer, String> {
        if !file.decoder.is_byte_level() {
            return Err("a decoder other than ByteLevel".to_owned());
        }
        if file.model.dropout.is_some() {
            return Err("BPE dropout, which makes ids random,".to_owned());
        }
        if let Some(byte) =
            (0..=u8::MAX).find(|byte| file.model.token_to_id(&bytes::char_of(*byte).to_string()).is_none())
        {
            return Err(format!("a vocabulary without the byte {byte:#04x}"));
        }
        if let Some(token) = file.added_tokens.iter().find(|token| !token.is_plain()) {
            return Err(format!("the added token {:?} with strip or single-word rules", token.content));
        }
        let pattern = file.pre_tokenizer.pattern();
        let pattern = pattern.ok_or("a pre-tokenizer other than Split(regex, Isolated) and ByteLevel")?;
        let splitter = Splitter::new(pattern).map_err(|error| format!("the split pattern ({error})"))?;
        let controls: HashMap<String, Control> = file
            .added_tokens
            .iter()
            .map(|token| {
                let (id, special) = (token.id, token.special);
                (token.content.clone(), Control { id, special })
            })
            .collect();
        let (token_bytes, token_ends) = byte_table(&file)?;
        let mut special: Vec<u32> = controls.values().filter(|c| c.special).map(|c| c.id).collect();
        special.sort_unstable();
        Ok(Tokenizer {
            normalizer: file.normalizer,
            splitter,
            model: file.model,
            control_pattern: longest_first(controls.keys()).map_err(|error| format!("the added tokens ({error})"))?,
            controls,
            token_bytes,
            token_ends,
            special,
        })
    }

    /// Ids of `text` with every control token in it taken for plain text.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        self.encode_plain_into(text, &mut ids)?;
        Ok(ids)
    }

    /// Ids of `text`, control tokens found in it included. Only for text nobody but the operator wrote.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        for segment in self.segments(text) {
            match segment {
                Segment::Text(text) => self.encode_plain_into(text, &mut ids)?,
                Segment::Control(id) => ids.push(id),
            }
        }
        Ok(ids)
    }

    pub(crate) fn encode_plain_into(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::Encode(error.to_string());
        let text = self.normalize(text).map_err(failed)?;
        let mut word_chars = String::new();
        for word in self.splitter.words(&text) {
            word_chars.clear();
            word_chars.extend(word.bytes().map(bytes::char_of));
            let tokens = self.model.tokenize(&word_chars).map_err(failed)?;
            ids.extend(tokens.iter().map(|token| token.id));
        }
        Ok(())
    }

    fn normalize<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, tokenizers::Error> {
        match &self.normalizer {
            // NFC leaves ASCII as it is.
            Some(NormalizerWrapper::NFC(_)) if text.is_ascii() => Ok(Cow::Borrowed(text)),
            None => Ok(Cow::Borrowed(text)),
            Some(normalizer) => {
                let mut normalized = NormalizedString::from(text);
                normalizer.normalize(&mut normalized)?;
                Ok(Cow::Owned(normalized.get().to_owned()))
            }
        }
    }

    /// `text` cut at its control tokens, the longest at each place, from left to right.
    pub(crate) fn segments<'t>(&self, text: &'t str) -> Vec<Segment<'t>> {
        let mut segments = Vec::new();
        let mut start = 0;
        let matches = self.control_pattern.iter().flat_map(|pattern| pattern.find_iter(text));
        for found in matches {
            if let Some(control) = self.controls.get(found.as_str()) {
                if found.start() > start {
                    segments.push(Segment::Text(&text[start..found.start()]));
                }
                segments.push(Segment::Control(control.id));
                start = found.end();
            }
        }
        if start < text.len() {
            segments.push(Segment::Text(&text[start..]));
        }
        segments
    }

    /// The control tokens' texts, and whether each is special (`false`: kept when special tokens are skipped).
    pub(crate) fn controls(&self) -> impl Iterator<Item = (&str, bool)> {
        self.controls.iter().map(|(text, control)| (text.as_str(), control.special))
    }

    /// The ids of all control tokens, special or not, in no order.
    pub fn control_ids(&self) -> impl Iterator<Item = u32> {
        self.controls.values().map(|control| control.id)
    }

    /// The id of a token by its text: a control token, or an entry of the vocabulary in its byte-level spelling.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        let control = self.controls.get(token).map(|control| control.id);
        control.or_else(|| self.model.token_to_id(token))
    }

    /// The bytes that token `id` stands for; possibly a part of a character. None for an id without a token.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        let id = usize::try_from(id).ok()?;
        let [start, end] = *self.token_ends.get(id..id.checked_add(2)?)? else {
            return None;
        };
        let bytes = self.token_bytes.get(start as usize..end as usize)?;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Whether `id` is a special token, such as `<|im_end|>`. `<think>` and `<tool_call>` are not.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.binary_search(&id).is_ok()
    }

    /// The text of `ids`; bytes that are not UTF-8 become U+FFFD, ids without a token nothing.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let shown = ids.iter().filter(|&&id| !(skip_special && self.is_special(id)));
        let bytes: Vec<u8> = shown.filter_map(|&id| self.token_bytes(id)).flatten().copied().collect();
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// One more than the greatest id.
    pub fn id_count(&self) -> usize {
        self.token_ends.len().saturating_sub(1)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} ids, {} control tokens)", self.id_count(), self.controls.len())
    }
}

/// The bytes of all tokens in the order of their ids, and where each ends; ids without a token are empty.
fn byte_table(file: &TokenizerFile) -> Result<(Vec<u8>, Vec<u32>), String> {
    let vocabulary = file.model.get_vocab();
    let entries = vocabulary.iter().map(|(text, &id)| (id, bytes::bytes_of(text)));
    // An added token may repeat an entry of the vocabulary; it comes later and wins.
    let added = file.added_tokens.iter().map(|token| (token.id, token.content.clone().into_bytes()));
    let mut table: Vec<Vec<u8>> = vec![Vec::new(); vocabulary.len()];
    for (id, bytes) in entries.chain(added) {
        if id > MAX_ID {
            return Err(format!("the token id {id}"));
        }
        let index = id as usize;
        if index >= table.len() {
            table.resize_with(index + 1, Vec::new);
        }
        table[index] = bytes;
    }
    let mut ends = vec![0_u32];
    let mut end = 0_u32;
    for bytes in &table {
        let len = u32::try_from(bytes.len()).ok();
        end = len.and_then(|len| end.checked_add(len)).ok_or("a vocabulary over 4 GiB")?;
        ends.push(end);
    }
    Ok((table.concat(), ends))
}

/// A pattern that matches any of `texts`, the longest where several fit.
fn longest_first<'t>(texts: impl Iterator<Item = &'t String>) -> Result<Option<Regex>, regex::Error> {
    let mut texts: Vec<&String> = texts.collect();
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let alternatives: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
    if alternatives.is_empty() {
        return Ok(None);
    }
    Regex::new(&alternatives.join("|")).map(Some)
}
