//! The text decoder: input embeddings to logits, with a KV cache and DeepStack (§5).

use std::{io, mem};

use qvl_checkpoint::{Config, TextConfig};
use qvl_kernels::{Arithmetic, linear, rms_norm};

use super::cache_number::CacheNumber;
use super::embedding::{Embeds, TABLE};
use super::kv_cache::{KvCache, KvShape};
use super::matrix::StoredMatrix;
use super::stored::Stored;
use super::text_layer::{Layer, Scratch};
use super::text_positions::RotaryAngles;
use super::text_step::{Part, Step};
use super::weights::Weights;
use crate::capacity::Capacity;
use crate::sequences::Tokens;
use crate::{EngineError, Logits};

/// The head's own matrix.
const HEAD: &str = "lm_head.weight";

/// The text decoder.
#[derive(Debug)]
pub(super) struct TextDecoder {
    layers: Vec<Layer>,
    norm: Stored<f32>,
    head: StoredMatrix,
    rotary: RotaryAngles,
    config: TextConfig,
    capacity: Capacity,
    /// Number of DeepStack features.
    deepstack: usize,
    arithmetic: Arithmetic,
    kv_shape: KvShape,
}

/// One sequence: its cache, and how many tokens are in it.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) cache: KvCache,
    len: usize,
}

/// Which of the new positions get logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// None: more of the prompt follows.
    None,
    /// The last one's.
    Last,
    /// All.
    All,
}

impl Tokens for Sequence {
    fn len(&self) -> usize {
        self.len
    }

    /// The rows stay and are written over.
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl TextDecoder {
    /// Takes the decoder out of the text graph's weights. With `precise` it computes in single precision throughout;
    /// keys and values are kept in `number`.
    pub(super) fn open(
        mut weights: Weights,
        config: &Config,
        precise: bool,
        number: CacheNumber,
    ) -> Result<Self, EngineError> {
        let arithmetic = weights.arithmetic(precise);
        let text = config.text.clone();
        let layers = (0..text.num_hidden_layers).map(|index| Layer::open(&mut weights, &text, index));
        let layers = layers.collect::<Result<_, _>>()?;
        let norm = weights.float32("model.language_model.norm.weight", &[text.hidden_size])?;
        let head = if weights.has_matrix(HEAD) { HEAD } else { TABLE };
        let head = weights.matrix(head, text.vocab_size, text.hidden_size)?;
        weights.finish()?;
        let kv_shape = KvShape {
            layers: text.num_hidden_layers,
            heads: text.num_key_value_heads,
            head_size: text.head_dim,
            number,
        };
        let (rotary, deepstack) = (RotaryAngles::new(&text), config.deepstack_count());
        let capacity = Capacity { context: text.max_position_embeddings };
        Ok(Self { layers, norm, head, rotary, config: text, capacity, deepstack, arithmetic, kv_shape })
    }

    /// An empty sequence with room for `capacity` tokens, or for as many as one may begin with.
    pub(super) fn open_sequence(&self, capacity: usize) -> Result<Sequence, EngineError> {
        let capacity = self.capacity.start(capacity)?;
        let cache = KvCache::new(self.kv_shape, capacity).map_err(|reason| self.no_memory(capacity, reason))?;
        Ok(Sequence { cache, len: 0 })
    }

    /// Makes room for `count` more tokens.
    pub(super) fn reserve(&self, sequence: &mut Sequence, count: usize) -> Result<(), EngineError> {
        let Some(larger) = self.capacity.larger(sequence.len, count, sequence.cache.capacity())? else { return Ok(()) };
        sequence.cache.grow(larger, sequence.len).map_err(|reason| self.no_memory(larger, reason))
    }

    /// A sequence that holds a copy of the first `len` tokens of `sequence`, which has them.
    pub(super) fn fork(&self, sequence: &Sequence, len: usize) -> Result<Sequence, EngineError> {
        let capacity = self.capacity.copy(len);
        let cache = sequence.cache.fork(capacity, len).map_err(|reason| self.no_memory(capacity, reason))?;
        Ok(Sequence { cache, len })
    }

    /// Bytes of keys and values of a token.
    pub(super) fn token_bytes(&self) -> usize {
        self.kv_shape.token_bytes()
    }

    /// Appends one token for each position and returns the logits that are wanted. There must be
    /// [room](Self::reserve).
    pub(super) fn run(
        &self,
        sequence: &mut Sequence,
        embeds: Embeds<'_>,
        positions: &[[i64; 3]],
        wanted: Rows,
    ) -> Logits {
        let wanted = match wanted {
            Rows::None => 0,
            Rows::Last => 1,
            Rows::All => positions.len(),
        };
        let part = Part { cache: &mut sequence.cache, past: sequence.len, tokens: positions.len() };
        let logits = self.compute(vec![part], embeds, positions, wanted);
        sequence.len += positions.len();
        logits
    }

    /// Appends one token to each sequence and returns the logits of each. There must be [room](Self::reserve).
    pub(super) fn run_batch(
        &self,
        sequences: &mut [&mut Sequence],
        embeds: Embeds<'_>,
        positions: &[[i64; 3]],
    ) -> Logits {
        let parts = sequences.iter_mut().map(|of| Part { past: of.len, tokens: 1, cache: &mut of.cache });
        let logits = self.compute(parts.collect(), embeds, positions, positions.len());
        sequences.iter_mut().for_each(|sequence| sequence.len += 1);
        logits
    }

    /// Runs the layers over the rows of all parts, one after the other, and the head over the last `wanted` of them.
    fn compute(&self, parts: Vec<Part<'_>>, mut embeds: Embeds<'_>, positions: &[[i64; 3]], wanted: usize) -> Logits {
        let tokens = positions.len();
        let rotary = self.rotary.tables(positions);
        let mut step = Step { tokens, parts, rotary: &rotary, arithmetic: self.arithmetic };
        let mut scratch = Scratch::new(&self.config, tokens);
        let mut x = mem::take(&mut embeds.rows);
        for (index, layer) in self.layers.iter().enumerate() {
            // Nothing after the last layer needs the rows without logits, unless it meets a feature.
            let is_last = index + 1 == self.layers.len() && index >= self.deepstack;
            let kept = if is_last { wanted } else { tokens };
            layer.run(index, &mut step, &mut x, kept, &mut scratch);
            if index < self.deepstack {
                embeds.add_deepstack(index, &mut x);
            }
        }
        self.logits(&x[(tokens - wanted) * self.config.hidden_size..], wanted)
    }

    /// Final norm and logits of `x` [rows, hidden].
    fn logits(&self, x: &[f32], rows: usize) -> Logits {
        let mut normed = vec![0.0; x.len()];
        rms_norm(x, &self.norm, self.config.rms_norm_eps as f32, &mut normed);
        let vocab = self.config.vocab_size;
        let mut data = vec![0.0; rows * vocab];
        if rows > 0 {
            linear(&normed, rows, &mut [self.head.product(&mut data)], self.arithmetic);
        }
        Logits { rows, vocab, data }
    }

    fn no_memory(&self, tokens: usize, reason: io::Error) -> EngineError {
        let bytes = self.kv_shape.token_bytes().saturating_mul(tokens);
        EngineError::CacheMemory { tokens, bytes, reason }
    }
}
