//! What runs the model.

use std::path::PathBuf;

use clap::Args;
use qvl::{Device, EngineOptions};

/// Options of the engine.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// What runs the graphs: cpu, cuda, tensorrt, directml, coreml, openvino or migraphx
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
            device: self.device,
            threads: self.threads.map(usize::from),
            ort_library: self.ort_lib.clone(),
            ..EngineOptions::default()
        }
    }
}
