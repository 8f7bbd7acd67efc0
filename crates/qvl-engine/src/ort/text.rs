//! The text graph: input embeddings to logits, with a KV cache for each sequence.

use std::path::Path;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::value::DynValue;
use qvl_checkpoint::Config;
use qvl_package::names;

use super::kv_cache::{KvCache, KvShape};
use super::opener::{Contract, Opener};
use super::{provider, tensor, vision};
use crate::capacity::Capacity;
use crate::sequences::Tokens;
use crate::{EngineError, Logits};

/// The text graph.
pub(super) struct TextDecoder {
    session: Session,
    kv_shape: KvShape,
    /// Allocates the KV caches where the provider works on them.
    kv_allocator: Allocator,
    capacity: Capacity,
    vocab: usize,
    gives_all_rows: bool,
    prefill_options: RunOptions<NoSelectedOutputs>,
    decode_options: RunOptions<NoSelectedOutputs>,
}

/// One sequence: its cache, and how many tokens are in it.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) cache: KvCache,
    binding: IoBinding,
    len: usize,
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
    /// Opens the graph; `gives_all_rows` is what the package says of its logits.
    pub(super) fn open(
        opener: &Opener,
        path: &Path,
        config: &Config,
        gives_all_rows: bool,
    ) -> Result<Self, EngineError> {
        let session = opener.open(path)?;
        let kv_shape = check_contract(path, &session, config)?;
        let failed = |reason| EngineError::Open { path: path.to_path_buf(), reason };
        Ok(Self {
            kv_shape,
            kv_allocator: kv_allocator(opener, &session),
            capacity: Capacity { context: config.text.max_position_embeddings },
            vocab: config.text.vocab_size,
            gives_all_rows,
            prefill_options: vision::shrinking().map_err(failed)?,
            decode_options: RunOptions::new().map_err(failed)?,
            session,
        })
    }

    /// Whether a run gives logits for every position, not only for the last.
    pub(super) fn gives_all_rows(&self) -> bool {
        self.gives_all_rows
    }

    /// An empty sequence with room for `capacity` tokens, or for as many as one may begin with.
    pub(super) fn open_sequence(&self, capacity: usize) -> Result<Sequence, EngineError> {
        let capacity = self.capacity.start(capacity)?;
        let open = || {
            let mut cache = KvCache::new(self.kv_shape, &self.kv_allocator, capacity)?;
            let mut binding = self.session.create_binding()?;
            cache.bind(&mut binding)?;
            Ok(Sequence { cache, binding, len: 0 })
        };
        open().map_err(failed)
    }

    /// A sequence that holds a copy of the first `len` tokens of `sequence`, which has them.
    pub(super) fn fork(&self, sequence: &Sequence, len: usize) -> Result<Sequence, EngineError> {
        let fork = || {
            let mut cache = sequence.cache.fork(&self.kv_allocator, self.capacity.copy(len), len)?;
            let mut binding = self.session.create_binding()?;
            cache.bind(&mut binding)?;
            Ok(Sequence { cache, binding, len })
        };
        fork().map_err(failed)
    }

    /// Bytes of keys and values of a token.
    pub(super) fn token_bytes(&self) -> usize {
        self.kv_shape.token_bytes()
    }

    /// Makes room for `count` more tokens.
    pub(super) fn reserve(&self, sequence: &mut Sequence, count: usize) -> Result<(), EngineError> {
        let Some(larger) = self.capacity.larger(sequence.len, count, sequence.cache.capacity())? else { return Ok(()) };
        sequence.cache.grow(&self.kv_allocator, larger, sequence.len, &mut sequence.binding).map_err(failed)
    }

    /// Appends one token for each position and returns the logits. There must be [room](Self::reserve).
    ///
    /// `embeds` is [1, tokens, width]; the positions are of the axes time, height, width.
    pub(super) fn run(
        &mut self,
        sequence: &mut Sequence,
        embeds: &DynValue,
        positions: &[[i64; 3]],
    ) -> Result<Logits, EngineError> {
        let total = sequence.len + positions.len();
        let options = if positions.len() == 1 { &self.decode_options } else { &self.prefill_options };
        let binding = &mut sequence.binding;
        bind_step(binding, embeds, positions, total).map_err(failed)?;
        let outputs = self.session.run_binding_with_options(binding, options).map_err(failed)?;
        let logits = outputs.get(names::LOGITS).ok_or_else(|| failed(ort::Error::new("it gave no logits")))?;
        let (shape, data) = tensor::to_f32(logits).map_err(failed)?;
        let (rows, vocab) = (if self.gives_all_rows { positions.len() } else { 1 }, self.vocab);
        if shape != [1, rows as i64, vocab as i64] {
            let expected = format!("[1, {rows}, {vocab}]");
            return Err(EngineError::Shape { graph: "text", found: shape, expected });
        }
        sequence.len = total;
        Ok(Logits { rows, vocab, data })
    }
}

fn failed(reason: ort::Error) -> EngineError {
    EngineError::Run { graph: "text", reason }
}

/// Binds what is new in a step. The logits are bound again too, or the last step's buffer would be reused as it is.
fn bind_step(binding: &mut IoBinding, embeds: &DynValue, positions: &[[i64; 3]], total: usize) -> ort::Result<()> {
    let axes = (0..3).flat_map(|axis| positions.iter().map(move |position| position[axis])).collect();
    binding.bind_input(names::INPUTS_EMBEDS, embeds)?;
    binding.bind_input(names::ATTENTION_MASK, &tensor::from_i64([1, total], vec![1; total])?)?;
    binding.bind_input(names::POSITION_IDS, &tensor::from_i64([3, 1, positions.len()], axes)?)?;
    let here = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
    binding.bind_output_to_device(names::LOGITS, &here)
}

/// Checks the graph's inputs and outputs and returns what its caches look like.
fn check_contract(path: &Path, session: &Session, config: &Config) -> Result<KvShape, EngineError> {
    let (inputs, outputs) = (Contract::inputs(path, session), Contract::outputs(path, session));
    let layers = config.text.num_hidden_layers;
    inputs.float(names::INPUTS_EMBEDS)?;
    inputs.int64(names::ATTENTION_MASK)?;
    inputs.int64(names::POSITION_IDS)?;
    inputs.count(3 + 2 * layers)?;
    outputs.float(names::LOGITS)?;
    outputs.count(1 + 2 * layers)?;
    let float = inputs.float(&names::past(0, "key"))?;
    for [past, present] in (0..layers).flat_map(KvShape::names) {
        inputs.is(&past, float)?;
        outputs.is(&present, float)?;
    }
    Ok(KvShape { layers, heads: config.text.num_key_value_heads, head_size: config.text.head_dim, float })
}

/// An allocator of the device's memory, or of the main memory where the device has none that can be had.
fn kv_allocator(opener: &Opener, session: &Session) -> Allocator {
    let Some(memory) = provider::memory(opener.device()) else {
        return Allocator::default();
    };
    let allocator = MemoryInfo::new(memory, 0, AllocatorType::Device, MemoryType::Default)
        .and_then(|memory| Allocator::new(session, memory));
    allocator.unwrap_or_else(|error| {
        tracing::warn!(device = %opener.device(), %error, "the KV cache stays in the main memory, which is slow");
        Allocator::default()
    })
}
