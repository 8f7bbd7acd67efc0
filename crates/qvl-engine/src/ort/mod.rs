//! The engine that runs the three graphs with ONNX Runtime.

mod embedding;
mod kv_cache;
mod opener;
mod provider;
mod tensor;
mod text;
mod vision;

use std::path::Path;
use std::time::{Duration, Instant};

use qvl_checkpoint::{Config, Grid};
use qvl_package::{Graph, LogitsRows, PackageDir};

use self::embedding::Embedding;
use self::opener::Opener;
use self::text::{Sequence, TextDecoder};
use self::vision::VisionEncoder;
use crate::prefill::{Chunk, check_tokens};
use crate::sequences::{Sequences, Tokens};
use crate::{
    DecodeStep, Encoding, Engine, EngineError, EngineOptions, Features, Logits, Prefill, SequenceId, pixel_values,
};

/// A vision graph that ONNX Runtime runs.
pub(crate) struct VisionGraph(VisionEncoder);

impl VisionGraph {
    /// Opens the graph in the file `path`.
    pub(crate) fn open(path: &Path, options: &EngineOptions) -> Result<Self, EngineError> {
        Ok(Self(VisionEncoder::open(&Opener::new(options)?, path)?))
    }

    /// Features of the pictures.
    pub(crate) fn encode(
        &mut self,
        pixel_values: &[f32],
        grids: &[Grid],
        config: &Config,
    ) -> Result<Features, EngineError> {
        pixel_values::check(pixel_values, grids, config)?;
        self.0.encode(pixel_values, grids, config)
    }
}

/// A package that ONNX Runtime runs.
pub(crate) struct OrtEngine {
    package: PackageDir,
    opener: Opener,
    embedding: Embedding,
    text: TextDecoder,
    /// Opened when the first picture comes: a talk without pictures needs no vision tower in memory.
    vision: Option<VisionEncoder>,
    sequences: Sequences<Sequence>,
    prefill_chunk: usize,
    load_time: Duration,
}

impl OrtEngine {
    /// Opens the graphs that every prompt needs.
    pub(crate) fn open(package: &PackageDir, options: &EngineOptions) -> Result<Self, EngineError> {
        let started = Instant::now();
        let opener = Opener::new(options)?;
        let embedding = Embedding::open(&opener, &package.graph(Graph::Embedding), package.config())?;
        let logits = package.manifest().graphs.get(Graph::Text.name()).and_then(|graph| graph.logits);
        let gives_all_rows = logits == Some(LogitsRows::All);
        let text = TextDecoder::open(&opener, &package.graph(Graph::Text), package.config(), gives_all_rows)?;
        Ok(Self {
            package: package.clone(),
            opener,
            embedding,
            text,
            vision: None,
            sequences: Sequences::new(),
            prefill_chunk: options.prefill_chunk.max(1),
            load_time: started.elapsed(),
        })
    }
}

impl Engine for OrtEngine {
    fn config(&self) -> &Config {
        self.package.config()
    }

    fn load_time(&self) -> Duration {
        self.load_time
    }

    /// There is one part.
    fn encode_part(&mut self, encoding: &mut Encoding, pixel_values: &[f32]) -> Result<Option<Features>, EngineError> {
        let config = self.package.config();
        pixel_values::check(pixel_values, &encoding.grids, config)?;
        let encoder = match &mut self.vision {
            Some(encoder) => encoder,
            closed => {
                let started = Instant::now();
                let encoder = VisionEncoder::open(&self.opener, &self.package.graph(Graph::Vision))?;
                self.load_time += started.elapsed();
                closed.insert(encoder)
            }
        };
        encoder.encode(pixel_values, &encoding.grids, config).map(Some)
    }

    fn open_sequence(&mut self, capacity: usize) -> Result<SequenceId, EngineError> {
        Ok(self.sequences.open(self.text.open_sequence(capacity)?))
    }

    fn prefill(&mut self, id: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        let config = self.package.config();
        prompt.check(config)?;
        let sequence = self.sequences.find(id)?;
        let start = sequence.len();
        self.text.reserve(sequence, prompt.token_ids.len())?;
        let chunks = prompt.chunks(self.prefill_chunk, config);
        let result = run_chunks(&mut self.embedding, &mut self.text, sequence, chunks);
        if result.is_err() {
            sequence.truncate(start);
        }
        result
    }

    fn prefill_all(&mut self, id: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        if !self.gives_all_rows() {
            return Err(EngineError::OnlyLastRow);
        }
        self.prefill(id, prompt)
    }

    fn gives_all_rows(&self) -> bool {
        self.text.gives_all_rows()
    }

    fn decode(&mut self, id: SequenceId, token: u32, position: i64) -> Result<Logits, EngineError> {
        check_tokens(&[token], self.package.config())?;
        let sequence = self.sequences.find(id)?;
        self.text.reserve(sequence, 1)?;
        let embeds = self.embedding.embed(&[token], &[])?;
        self.text.run(sequence, &embeds, &[[position; 3]])
    }

    /// One step after the other: a graph's batch would be of sequences of one length.
    fn decode_batch(&mut self, steps: &[DecodeStep]) -> Result<Logits, EngineError> {
        let ids: Vec<SequenceId> = steps.iter().map(|step| step.sequence).collect();
        self.sequences.find_all(&ids)?;
        let vocab = self.config().text.vocab_size;
        let mut all = Logits { rows: 0, vocab, data: Vec::with_capacity(steps.len() * vocab) };
        for (index, step) in steps.iter().enumerate() {
            match self.decode(step.sequence, step.token, step.position) {
                Ok(logits) => {
                    all.rows += 1;
                    all.data.extend_from_slice(logits.last());
                }
                Err(error) => {
                    for sequence in self.sequences.find_all(&ids[..index])? {
                        sequence.truncate(sequence.len() - 1);
                    }
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    fn fork(&mut self, id: SequenceId, len: usize) -> Result<SequenceId, EngineError> {
        let copy = self.text.fork(self.sequences.find_to_fork(id, len)?, len)?;
        Ok(self.sequences.open(copy))
    }

    fn truncate(&mut self, id: SequenceId, len: usize) -> Result<(), EngineError> {
        self.sequences.truncate(id, len)
    }

    fn len(&self, id: SequenceId) -> Option<usize> {
        self.sequences.len(id)
    }

    fn sequence_bytes(&self, id: SequenceId) -> Option<usize> {
        Some(self.sequences.get(id)?.cache.capacity() * self.bytes_per_token())
    }

    fn bytes_per_token(&self) -> usize {
        self.text.token_bytes()
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.sequences.close(id);
    }
}

/// Runs the chunks of a prompt one after the other and returns the logits of the last, or, where the graph gives logits
/// for all positions, of all.
fn run_chunks<'a>(
    embedding: &mut Embedding,
    text: &mut TextDecoder,
    sequence: &mut Sequence,
    chunks: impl Iterator<Item = Chunk<'a>>,
) -> Result<Logits, EngineError> {
    let mut all: Option<Logits> = None;
    for chunk in chunks {
        let embeds = embedding.embed(chunk.token_ids, chunk.features)?;
        let logits = text.run(sequence, &embeds, chunk.positions)?;
        match &mut all {
            Some(earlier) if text.gives_all_rows() => {
                earlier.rows += logits.rows;
                earlier.data.extend_from_slice(&logits.data);
            }
            earlier => *earlier = Some(logits),
        }
    }
    all.ok_or(EngineError::EmptyPrompt)
}
