//! What runs the model.

use std::path::PathBuf;

use clap::Args;
use qvl::{Device, EngineChoice, EngineOptions, KvPrecision};

/// Options of the engine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// What computes: cpu (our own, on the processor), ort (ONNX Runtime), or auto (cpu, or ort with --device or --ort-lib)
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineChoice,
    #[command(flatten)]
    pub setup: EngineSetupArgs,
}

/// Options of whichever engine it is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineSetupArgs {
    /// Let the engine cpu compute in single precision throughout: slower, and as exact as the package is
    #[arg(long)]
    pub precise: bool,
    /// What the engine cpu keeps keys and values in: f32, f16, int8 (in 53 % of f16's memory; costs less than weights in
    /// int8 do), or auto (f16, or f32 with --precise or a package in fp32)
    #[arg(long, value_name = "TYPE", default_value = "auto")]
    pub kv_cache: KvPrecision,
    /// What the engine ort runs the graphs on: cpu, cuda, tensorrt, directml, coreml, openvino or migraphx
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: Device,
    /// Threads for work on the processor [default: one on each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// The ONNX Runtime library [default: found, see `qvl runtime where`]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
    /// Install the ONNX Runtime library without asking if there is none
    #[arg(short, long, env = "QVL_YES", value_parser = clap::builder::FalseyValueParser::new(), hide_env = true)]
    pub yes: bool,
}

impl EngineArgs {
    /// The options for the library.
    pub fn options(&self) -> EngineOptions {
        EngineOptions {
            engine: self.engine,
            device: self.setup.device,
            precise: self.setup.precise,
            kv_cache: self.setup.kv_cache,
            threads: self.setup.threads.map(usize::from),
            ort_library: self.setup.ort_lib.clone(),
            ..EngineOptions::default()
        }
    }
}
