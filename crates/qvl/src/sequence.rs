//! One sequence of the engine and what its KV cache holds.

use std::sync::Arc;

use qvl_engine::{DecodeStep, Engine, EngineError, Features, Logits, Prefill, SequenceId};

use crate::cached_prompt::{CachedToken, PromptLayout};

/// An open sequence, which keeps its KV cache from prompt to prompt.
///
/// What it says is cached is so after an error, too: an engine's call that fails changes nothing.
#[derive(Debug)]
pub(crate) struct Sequence {
    id: SequenceId,
    cached: Vec<CachedToken>,
}

impl Sequence {
    /// Opens an empty sequence with room for `capacity` tokens, beyond which it grows.
    ///
    /// # Errors
    /// If the engine has no room.
    pub(crate) fn open(engine: &mut dyn Engine, capacity: usize) -> Result<Self, EngineError> {
        Ok(Self { id: engine.open_sequence(capacity)?, cached: Vec::new() })
    }

    /// Opens a sequence that holds a copy of the first `len` tokens.
    ///
    /// # Errors
    /// If the sequence holds fewer, or the engine has no room.
    pub(crate) fn fork(&self, engine: &mut dyn Engine, len: usize) -> Result<Self, EngineError> {
        Ok(Self { id: engine.fork(self.id, len)?, cached: self.cached[..len].to_vec() })
    }

    /// What the cache holds.
    pub(crate) fn cached(&self) -> &[CachedToken] {
        &self.cached
    }

    /// Number of tokens that the cache holds.
    pub(crate) fn len(&self) -> usize {
        self.cached.len()
    }

    /// Bytes of memory that the cache takes.
    pub(crate) fn bytes(&self, engine: &dyn Engine) -> usize {
        engine.sequence_bytes(self.id).unwrap_or(0)
    }

    /// Keeps what the cache holds of `prompt` and drops the rest. Returns how many tokens need no prefill.
    ///
    /// # Errors
    /// If the engine fails.
    pub(crate) fn reuse(&mut self, engine: &mut dyn Engine, prompt: &PromptLayout) -> Result<usize, EngineError> {
        let kept = prompt.common_prefix(&self.cached);
        self.truncate(engine, kept)?;
        Ok(kept)
    }

    /// Drops all but the first `len` tokens.
    ///
    /// # Errors
    /// If the sequence holds fewer.
    pub(crate) fn truncate(&mut self, engine: &mut dyn Engine, len: usize) -> Result<(), EngineError> {
        engine.truncate(self.id, len)?;
        self.cached.truncate(len);
        Ok(())
    }

    /// Appends tokens with the features of the pictures among them; returns the logits after the last one.
    ///
    /// # Errors
    /// If the engine fails.
    pub(crate) fn prefill(
        &mut self,
        engine: &mut dyn Engine,
        tokens: &[CachedToken],
        features: Option<&Features>,
    ) -> Result<Logits, EngineError> {
        self.append(tokens, features, |id, prompt| engine.prefill(id, prompt))
    }

    /// Appends tokens of text; returns the logits after each of them.
    ///
    /// # Errors
    /// If the engine fails, or gives the last logits only.
    pub(crate) fn prefill_all(
        &mut self,
        engine: &mut dyn Engine,
        tokens: &[CachedToken],
    ) -> Result<Logits, EngineError> {
        self.append(tokens, None, |id, prompt| engine.prefill_all(id, prompt))
    }

    fn append(
        &mut self,
        tokens: &[CachedToken],
        features: Option<&Features>,
        prefill: impl FnOnce(SequenceId, &Prefill<'_>) -> Result<Logits, EngineError>,
    ) -> Result<Logits, EngineError> {
        let token_ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        let positions: Vec<[i64; 3]> = tokens.iter().map(|token| token.position).collect();
        let logits = prefill(self.id, &Prefill { token_ids: &token_ids, positions: &positions, features })?;
        self.cached.extend_from_slice(tokens);
        Ok(logits)
    }

    /// Appends one generated token; returns the logits after it.
    ///
    /// # Errors
    /// If the engine fails.
    pub(crate) fn decode(&mut self, engine: &mut dyn Engine, token: u32, position: i64) -> Result<Logits, EngineError> {
        let logits = engine.decode(self.id, token, position)?;
        self.cached.push(CachedToken::text(token, position));
        Ok(logits)
    }

    /// Appends a generated token to each of several sequences; row i of the logits is for what follows in the i-th.
    ///
    /// # Errors
    /// If the engine fails. No sequence has changed then.
    pub(crate) fn decode_batch(
        engine: &mut dyn Engine,
        rows: &mut [(&mut Self, u32, i64)],
    ) -> Result<Logits, EngineError> {
        let steps = rows.iter().map(|(sequence, token, position)| {
            let (token, position) = (*token, *position);
            DecodeStep { sequence: sequence.id, token, position }
        });
        let logits = engine.decode_batch(&steps.collect::<Vec<_>>())?;
        for (sequence, token, position) in rows {
            sequence.cached.push(CachedToken::text(*token, *position));
        }
        Ok(logits)
    }

    /// Gives the KV cache back; nothing can be appended after that.
    pub(crate) fn close(&mut self, engine: &mut dyn Engine) {
        engine.close_sequence(self.id);
        self.cached.clear();
    }
}

/// The features for the tokens `start..end` of a prompt, one row for each placeholder among them, in order.
///
/// `features` are those of the prompt's pictures; pictures without a token in the range need none.
pub(crate) fn features_for(
    prompt: &PromptLayout,
    features: &[Option<Arc<Features>>],
    start: usize,
    end: usize,
) -> Option<Features> {
    let mut chunk: Option<Features> = None;
    for ((_, places), features) in prompt.pictures.iter().zip(features) {
        let rows = places.partition_point(|&index| index < start)..places.partition_point(|&index| index < end);
        let Some(features) = features.as_ref().filter(|_| !rows.is_empty()) else { continue };
        let width = features.width;
        let chunk = chunk.get_or_insert_with(|| Features { rows: 0, width, data: Vec::new() });
        chunk.rows += rows.len();
        chunk.data.extend_from_slice(&features.data[rows.start * width..rows.end * width]);
    }
    chunk
}
