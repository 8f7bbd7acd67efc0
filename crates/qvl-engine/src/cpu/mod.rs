//! The engine of our own: it computes what the three graphs do, on the processor, with the weights in the package's files.

mod cache_number;
mod data_file;
mod embedding;
mod experts;
mod graph_nodes;
mod kv_cache;
mod matrix;
mod stored;
mod text;
mod text_layer;
mod text_positions;
mod text_step;
mod tower_pass;
mod vision;
mod vision_block;
mod vision_positions;
mod weights;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qvl_checkpoint::{Config, Grid};
use qvl_kernels::ThreadPool;
use qvl_package::{Graph, LogitsRows, PackageDir, Precision};

use self::cache_number::CacheNumber;
use self::embedding::Embedding;
use self::text::{Rows, Sequence, TextDecoder};
pub(crate) use self::tower_pass::TowerPass;
use self::vision::VisionEncoder;
use self::weights::Weights;
use crate::prefill::{Chunk, check_tokens};
use crate::sequences::Sequences;
use crate::{
    DecodeStep, Device, Encoding, Engine, EngineError, EngineOptions, Features, Logits, Prefill, SequenceId,
    pixel_values,
};

/// A vision graph that is computed here.
pub(crate) struct VisionGraph {
    encoder: VisionEncoder,
    pool: Arc<ThreadPool>,
}

impl VisionGraph {
    /// Maps the weights of the graph in the file `path`, of a model with this configuration.
    pub(crate) fn open(path: &Path, config: &Config, options: &EngineOptions) -> Result<Self, EngineError> {
        let encoder = VisionEncoder::open(Weights::open(path)?, config, options.precise)?;
        Ok(Self { encoder, pool: pool(options)? })
    }

    /// Features of the pictures.
    pub(crate) fn encode(
        &mut self,
        pixel_values: &[f32],
        grids: &[Grid],
        config: &Config,
    ) -> Result<Features, EngineError> {
        pixel_values::check(pixel_values, grids, config)?;
        let mut pass = self.encoder.start(grids);
        loop {
            if let Some(features) = self.pool.install(|| self.encoder.advance(&mut pass, pixel_values)) {
                return Ok(features);
            }
        }
    }
}

/// A package that is computed here.
pub(crate) struct CpuEngine {
    package: PackageDir,
    pool: Arc<ThreadPool>,
    embedding: Embedding,
    text: TextDecoder,
    /// Mapped when the first picture comes.
    vision: Option<VisionEncoder>,
    precise: bool,
    /// Whether a prompt gives logits for every position, not only for the last.
    gives_all_rows: bool,
    sequences: Sequences<Sequence>,
    prefill_chunk: usize,
    load_time: Duration,
}

impl CpuEngine {
    /// Maps the weights that every prompt needs.
    pub(crate) fn open(package: &PackageDir, options: &EngineOptions) -> Result<Self, EngineError> {
        let started = Instant::now();
        let pool = pool(options)?;
        let config = package.config();
        let graph = package.manifest().graphs.get(Graph::Text.name());
        // What is stored in single precision is computed in it: keys and values too.
        let precise = options.precise || graph.is_some_and(|graph| graph.precision == Precision::Fp32);
        let embedding = Embedding::open(Weights::open(&package.graph(Graph::Embedding))?, config)?;
        let number = CacheNumber::of(options.kv_cache, precise);
        let text = TextDecoder::open(Weights::open(&package.graph(Graph::Text))?, config, precise, number)?;
        let logits = graph.and_then(|graph| graph.logits);
        Ok(Self {
            package: package.clone(),
            pool,
            embedding,
            text,
            vision: None,
            precise: options.precise,
            gives_all_rows: logits == Some(LogitsRows::All),
            sequences: Sequences::new(),
            prefill_chunk: options.prefill_chunk.max(1),
            load_time: started.elapsed(),
        })
    }
}

/// The threads, which engines with as many share, on the only device that there is.
fn pool(options: &EngineOptions) -> Result<Arc<ThreadPool>, EngineError> {
    if options.device != Device::Cpu {
        return Err(EngineError::OnlyProcessor { device: options.device });
    }
    let threads = options.thread_count();
    ThreadPool::shared(threads).map_err(|reason| EngineError::Threads { threads, reason })
}

impl CpuEngine {
    /// Runs the chunks of a prompt one after the other. `all_rows` says whether all tokens get logits, or the last.
    fn run_prompt(&mut self, id: SequenceId, prompt: &Prefill<'_>, all_rows: bool) -> Result<Logits, EngineError> {
        let config = self.package.config();
        prompt.check(config)?;
        let sequence = self.sequences.find(id)?;
        self.text.reserve(sequence, prompt.token_ids.len())?;
        let count = prompt.token_ids.len().div_ceil(self.prefill_chunk);
        let (embedding, text) = (&self.embedding, &self.text);
        let mut all = Logits { rows: 0, vocab: config.text.vocab_size, data: Vec::new() };
        for (index, chunk) in prompt.chunks(self.prefill_chunk, config).enumerate() {
            let wanted = match all_rows {
                true => Rows::All,
                false if index + 1 == count => Rows::Last,
                false => Rows::None,
            };
            let logits = self.pool.install(|| text.run(sequence, embedding.embed(&chunk), chunk.positions, wanted));
            all.rows += logits.rows;
            all.data.extend_from_slice(&logits.data);
        }
        Ok(all)
    }
}

impl Engine for CpuEngine {
    fn config(&self) -> &Config {
        self.package.config()
    }

    fn load_time(&self) -> Duration {
        self.load_time
    }

    /// A part is a block of the tower.
    fn encode_part(&mut self, encoding: &mut Encoding, pixel_values: &[f32]) -> Result<Option<Features>, EngineError> {
        pixel_values::check(pixel_values, &encoding.grids, self.package.config())?;
        let started = Instant::now();
        let vision = match &mut self.vision {
            Some(vision) => vision,
            none => {
                let weights = Weights::open(&self.package.graph(Graph::Vision))?;
                let vision = VisionEncoder::open(weights, self.package.config(), self.precise)?;
                self.load_time += started.elapsed();
                none.insert(vision)
            }
        };
        let pass = encoding.pass.get_or_insert_with(|| vision.start(&encoding.grids));
        let features = self.pool.install(|| vision.advance(pass, pixel_values));
        if features.is_some() {
            encoding.pass = None;
        }
        Ok(features)
    }

    fn open_sequence(&mut self, capacity: usize) -> Result<SequenceId, EngineError> {
        Ok(self.sequences.open(self.text.open_sequence(capacity)?))
    }

    fn prefill(&mut self, id: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        self.run_prompt(id, prompt, self.gives_all_rows)
    }

    fn prefill_all(&mut self, id: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        self.run_prompt(id, prompt, true)
    }

    /// Here it does on every package.
    fn gives_all_rows(&self) -> bool {
        true
    }

    fn decode(&mut self, id: SequenceId, token: u32, position: i64) -> Result<Logits, EngineError> {
        check_tokens(&[token], self.package.config())?;
        let sequence = self.sequences.find(id)?;
        self.text.reserve(sequence, 1)?;
        let chunk = Chunk { token_ids: &[token], positions: &[[position; 3]], features: &[] };
        let (embedding, text) = (&self.embedding, &self.text);
        Ok(self.pool.install(|| text.run(sequence, embedding.embed(&chunk), chunk.positions, Rows::Last)))
    }

    fn decode_batch(&mut self, steps: &[DecodeStep]) -> Result<Logits, EngineError> {
        let token_ids: Vec<u32> = steps.iter().map(|step| step.token).collect();
        let positions: Vec<[i64; 3]> = steps.iter().map(|step| [step.position; 3]).collect();
        check_tokens(&token_ids, self.package.config())?;
        let ids: Vec<SequenceId> = steps.iter().map(|step| step.sequence).collect();
        let mut sequences = self.sequences.find_all(&ids)?;
        for sequence in &mut sequences {
            self.text.reserve(sequence, 1)?;
        }
        if steps.is_empty() {
            return Ok(Logits { rows: 0, vocab: self.package.config().text.vocab_size, data: Vec::new() });
        }
        let chunk = Chunk { token_ids: &token_ids, positions: &positions, features: &[] };
        let (embedding, text) = (&self.embedding, &self.text);
        Ok(self.pool.install(|| text.run_batch(&mut sequences, embedding.embed(&chunk), chunk.positions)))
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
        Some(self.sequences.get(id)?.cache.bytes())
    }

    fn bytes_per_token(&self) -> usize {
        self.text.token_bytes()
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.sequences.close(id);
    }
}
