use std::path::PathBuf;
use std::thread;

use crate::{Device, EngineChoice, KvPrecision};

/// How an engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// What computes.
    pub engine: EngineChoice,
    /// What the engine `ort` runs the graphs on.
    pub device: Device,
    /// Whether the engine `cpu` computes in single precision throughout. Otherwise it rounds activations to int8 before
    /// they meet weights in blocks, unless the package was exported not to.
    pub precise: bool,
    /// What the engine `cpu` keeps keys and values in.
    pub kv_cache: KvPrecision,
    /// Threads for the work on the processor; `None` for one on each core that the process may use.
    pub threads: Option<usize>,
    /// The ONNX Runtime library; `None` to [search](crate::runtime) for it.
    pub ort_library: Option<PathBuf>,
    /// Most tokens of a prompt that are run at once. More need more memory and, beyond some hundred, save no time.
    pub prefill_chunk: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            engine: EngineChoice::default(),
            device: Device::default(),
            precise: false,
            kv_cache: KvPrecision::default(),
            threads: None,
            ort_library: None,
            prefill_chunk: 512,
        }
    }
}

impl EngineOptions {
    /// Whether ONNX Runtime is what computes, so that its library must be there. Without a choice it is where the device is
    /// another than the processor, or its library is named.
    pub fn uses_ort(&self) -> bool {
        match self.engine {
            EngineChoice::Auto => self.device != Device::Cpu || self.ort_library.is_some(),
            EngineChoice::Cpu => false,
            EngineChoice::Ort => true,
        }
    }

    /// The number of threads, at least one.
    pub fn thread_count(&self) -> usize {
        // Two threads on one core's halves slow each other down, so cores are counted; the affinity mask and the
        // container's quota are in what is available.
        let per_core = || thread::available_parallelism().map_or(1, usize::from).min(num_cpus::get_physical());
        self.threads.unwrap_or_else(per_core).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_engine_is_for_the_processor() {
        let auto = EngineOptions::default();
        assert!(!auto.uses_ort());
        assert!(EngineOptions { device: Device::Cuda, ..auto.clone() }.uses_ort());
        assert!(EngineOptions { ort_library: Some("libonnxruntime.so".into()), ..auto.clone() }.uses_ort());
        assert!(EngineOptions { engine: EngineChoice::Ort, ..auto }.uses_ort());
    }

    #[test]
    fn thread_count_is_what_was_asked_for_or_sensible() {
        let options = EngineOptions::default();
        assert!((1..=num_cpus::get()).contains(&options.thread_count()));
        assert_eq!(EngineOptions { threads: Some(7), ..options.clone() }.thread_count(), 7);
        assert_eq!(EngineOptions { threads: Some(0), ..options }.thread_count(), 1);
    }
}
