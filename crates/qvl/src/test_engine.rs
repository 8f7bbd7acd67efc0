//! The real engine in the hands of a test: its work is counted, it can be halted, and it fails on demand.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use qvl_checkpoint::{Config, Grid};
use qvl_engine::{DecodeStep, Encoding, Engine, EngineError, EngineOptions, Features, Logits, Prefill, SequenceId};
use qvl_export::{ExportOptions, NoProgress, Precision, export};

use crate::pipeline::Pipeline;

/// What an engine was asked to do since the last look. Drafts are not counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) pictures: usize,
    pub(crate) prefilled: usize,
    pub(crate) opened: usize,
    pub(crate) closed: usize,
}

/// What an engine shall do.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    /// The token that shall be the first of an answer.
    pub(crate) first_token: Option<u32>,
    /// The token that cannot be decoded.
    pub(crate) bad_token: Option<u32>,
    /// Panic at the next token.
    pub(crate) panic: bool,
}

/// The test's end of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    work: Arc<Mutex<Work>>,
    order: Arc<Mutex<String>>,
    controls: Arc<Mutex<Controls>>,
    gate: Arc<Mutex<()>>,
}

impl Watch {
    /// The work since the last look.
    pub(crate) fn take(&self) -> Work {
        mem::take(&mut *self.work.lock().unwrap())
    }

    /// The order of all parts of pictures (v) and decode steps (d) since the last look.
    pub(crate) fn take_order(&self) -> String {
        mem::take(&mut *self.order.lock().unwrap())
    }

    pub(crate) fn set(&self, controls: Controls) {
        *self.controls.lock().unwrap() = controls;
    }

    /// Halts the engine before its next sequence, picture or token, as long as the guard lives.
    pub(crate) fn halt(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
    }

    fn check(&self, mut tokens: impl Iterator<Item = u32>) -> Result<(), EngineError> {
        drop(self.gate.lock());
        let controls = self.controls.lock().unwrap();
        let (panics, bad) = (controls.panic, controls.bad_token);
        drop(controls);
        assert!(!panics, "as it was told to");
        // Any error will do.
        if tokens.any(|token| Some(token) == bad) { Err(EngineError::EmptyPrompt) } else { Ok(()) }
    }
}

struct Watched {
    inner: Box<dyn Engine>,
    watch: Watch,
}

impl Engine for Watched {
    fn config(&self) -> &Config {
        self.inner.config()
    }

    fn load_time(&self) -> Duration {
        self.inner.load_time()
    }

    fn encode_part(&mut self, encoding: &mut Encoding, pixel_values: &[f32]) -> Result<Option<Features>, EngineError> {
        drop(self.watch.halt());
        let features = self.inner.encode_part(encoding, pixel_values)?;
        self.watch.work.lock().unwrap().pictures += usize::from(features.is_some());
        self.watch.order.lock().unwrap().push('v');
        Ok(features)
    }

    fn open_sequence(&mut self, capacity: usize) -> Result<SequenceId, EngineError> {
        drop(self.watch.halt());
        self.watch.work.lock().unwrap().opened += 1;
        self.inner.open_sequence(capacity)
    }

    fn prefill(&mut self, sequence: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        self.watch.check(prompt.token_ids.iter().copied())?;
        self.watch.work.lock().unwrap().prefilled += prompt.token_ids.len();
        let mut logits = self.inner.prefill(sequence, prompt)?;
        if let Some(token) = self.watch.controls.lock().unwrap().first_token {
            let last = logits.data.len() - logits.vocab;
            logits.data[last + token as usize] = 1e6;
        }
        Ok(logits)
    }

    fn prefill_all(&mut self, sequence: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        self.watch.check(prompt.token_ids.iter().copied())?;
        self.inner.prefill_all(sequence, prompt)
    }

    fn gives_all_rows(&self) -> bool {
        self.inner.gives_all_rows()
    }

    fn decode(&mut self, sequence: SequenceId, token: u32, position: i64) -> Result<Logits, EngineError> {
        self.watch.check([token].into_iter())?;
        self.watch.order.lock().unwrap().push('d');
        self.inner.decode(sequence, token, position)
    }

    fn decode_batch(&mut self, steps: &[DecodeStep]) -> Result<Logits, EngineError> {
        self.watch.check(steps.iter().map(|step| step.token))?;
        self.watch.order.lock().unwrap().push('d');
        self.inner.decode_batch(steps)
    }

    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, EngineError> {
        self.watch.work.lock().unwrap().opened += 1;
        self.inner.fork(sequence, len)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), EngineError> {
        self.inner.truncate(sequence, len)
    }

    fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.inner.len(sequence)
    }

    fn sequence_bytes(&self, sequence: SequenceId) -> Option<usize> {
        self.inner.sequence_bytes(sequence)
    }

    fn bytes_per_token(&self) -> usize {
        self.inner.bytes_per_token()
    }

    fn close_sequence(&mut self, sequence: SequenceId) {
        self.watch.work.lock().unwrap().closed += 1;
        self.inner.close_sequence(sequence);
    }
}

/// A file of the reference.
pub(crate) fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference").join(path)
}

/// A tiny package whose engine is watched.
pub(crate) fn pipeline(prefill_chunk: usize) -> (Pipeline, Watch) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = ExportOptions::new(directory.path().join("package"));
    options.precision = Precision::Fp32;
    export(&reference("tiny/dense-tied"), &options, &NoProgress).unwrap();
    let engine = EngineOptions { prefill_chunk, ..EngineOptions::default() };
    let mut pipeline = Pipeline::open(&options.output, &engine).unwrap();
    // The vision graph is opened with the first picture, and so while its files are there.
    pipeline.engine.encode(&vec![0.0; 4 * 1536], &[Grid { t: 1, h: 2, w: 2 }]).unwrap();
    let watch = Watch::default();
    pipeline.engine = Box::new(Watched { inner: pipeline.engine, watch: watch.clone() });
    (pipeline, watch)
}
