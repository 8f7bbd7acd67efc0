//! The command line.

mod bench;
mod compare;
mod engine;
mod eval;
mod generation;
mod media;
mod questions;
mod requantize;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use qvl_export::{Layout, Method, Mix, Precision};

pub use bench::BenchArgs;
pub use compare::CompareArgs;
pub use engine::{EngineArgs, EngineSetupArgs};
pub use eval::EvalArgs;
pub use generation::GenerationArgs;
pub use media::{MediaArgs, MediaSource, PixelArgs};
pub use questions::QuestionArgs;
pub use requantize::RequantizeArgs;
pub use serve::ServeArgs;

/// Qwen3-VL as ONNX: export a checkpoint, ask it about pictures, video and text
#[derive(Debug, Parser)]
#[command(
    name = "qvl",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "\
Examples:
  qvl run --image shapes.png --prompt \"What colour is the circle?\"
  qvl export Qwen3-VL-4B-Instruct -o qwen3-vl-4b --precision fp16
  qvl run qwen3-vl-4b --image photo.jpg --prompt \"What is in this picture?\"
  qvl chat qwen3-vl-4b
  qvl serve qwen3-vl-4b --port 8080

Exit codes: 0 done, 1 failure, 2 wrong usage, 130 stopped by Ctrl-C.
Environment: QVL_CACHE_DIR (cache), QVL_YES=1 (as --yes), QVL_LOG (log filter, e.g. info), QVL_API_KEY (for serve), ORT_DYLIB_PATH, NO_COLOR."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Export a Hugging Face checkpoint to an ONNX package
    Export(ExportArgs),
    /// Make a smaller package out of an fp32 or fp16 one, without its checkpoint
    Requantize(RequantizeArgs),
    /// Answer one question
    Run(RunArgs),
    /// Talk in several turns
    Chat(ChatArgs),
    /// Serve a model: the API of OpenAI and a web page
    Serve(ServeArgs),
    /// Score a model on questions with reference answers
    Eval(EvalArgs),
    /// Measure what a quantised package lost beside its reference
    Compare(CompareArgs),
    /// Measure how fast a package is beside what the machine can do
    Bench(BenchArgs),
    /// Describe a checkpoint or a package
    Inspect(InspectArgs),
    /// Find or install the ONNX Runtime library
    Runtime(RuntimeArgs),
    /// Print shell completions
    Completions {
        /// The shell to print them for
        shell: Shell,
    },
}

/// `qvl export`
#[derive(Debug, Args)]
#[command(after_help = "\
The package is written beside DIR and renamed when it is whole: whenever the export is stopped, DIR is as it was.

Examples:
  qvl export Qwen3-VL-2B-Instruct -o qwen3-vl-2b
  qvl export Qwen3-VL-8B-Instruct -o qwen3-vl-8b --precision fp16 --force
  qvl export Qwen3-VL-4B-Instruct -o qwen3-vl-4b-int4 --precision int4
  qvl export Qwen3-VL-4B-Instruct -o qwen3-vl-4b-int4 --precision int4 --mix 'auto,*.down_proj=int8'
  qvl export Qwen3-VL-4B-Instruct -o qwen3-vl-4b-int4 --precision int4 --method gptq --calibration my-pictures
  qvl export Qwen3-VL-2B-Instruct -o qwen3-vl-2b-js --precision int4 --layout transformers.js")]
pub struct ExportArgs {
    /// A checkpoint: a Hugging Face directory, or one safetensors file with its config.json beside it
    pub checkpoint: PathBuf,
    /// The package to write
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Type of the weights [default: fp32 below 1 GiB of weights, fp16 from there on]
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionArg>,
    #[command(flatten)]
    pub choices: ChoiceArgs,
}

/// What an export and a requantisation have to choose.
#[derive(Debug, Args)]
pub struct ChoiceArgs {
    /// How the files are named and arranged
    #[arg(long, value_enum, default_value = "package")]
    pub layout: LayoutArg,
    /// Which matrices of an int8 or int4 text decoder have another precision: auto, none, or a list of
    /// PATTERN=PRECISION, which auto may begin. auto: where the rest is int4, the head and the most sensitive matrices of
    /// the first and last layer are int8. In a PATTERN, which stands for whole names such as
    /// model.language_model.layers.0.mlp.down_proj, * is any characters and ? is one; the last that matches counts
    #[arg(long, value_name = "MIX", default_value_t = Mix::AUTO)]
    pub mix: Mix,
    /// Type of the vision encoder's weights [default: as --precision, fp16 for int8 and int4]
    #[arg(long, value_enum, value_name = "PRECISION")]
    pub vision_precision: Option<PrecisionArg>,
    /// Type of the token table [default: as --precision, fp16 for int8 and int4, but int8 where the table is an int8 head
    /// too: then it is stored once]
    #[arg(long, value_enum, value_name = "PRECISION")]
    pub embedding_precision: Option<PrecisionArg>,
    /// How int8 and int4 weights are rounded
    #[arg(long, value_enum, default_value = "search")]
    pub method: MethodArg,
    /// What awq and gptq are fitted to: a question file (JSONL, as for eval, with reference answers), or a folder with
    /// pictures and texts (.txt) [default: 68 questions about drawn pictures; use some of your own kind]
    #[arg(long, value_name = "PATH")]
    pub calibration: Option<PathBuf>,
    /// Most tokens that awq and gptq are fitted to; more take longer and fit better
    #[arg(long, value_name = "N", default_value_t = 8192)]
    pub calibration_tokens: usize,
    /// Weights that share a scale in int8 and int4: a power of two from 16 to 256
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub block_size: usize,
    /// Store a zero point for each block, but for experts: more exact, a little larger, and fewer runtimes read it
    #[arg(long)]
    pub asymmetric: bool,
    /// Compute with int8 and int4 weights in single precision, instead of rounding activations to int8 as well
    #[arg(long)]
    pub exact_activations: bool,
    /// Give logits for all positions, not only for the last one (for evaluation)
    #[arg(long)]
    pub all_logits: bool,
    /// Replace a package that is there
    #[arg(long)]
    pub force: bool,
    /// What runs the vision encoder for awq and gptq.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// A layout, as the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LayoutArg {
    /// What qvl and onnxruntime-genai open
    Package,
    /// What transformers.js opens, in a browser or in Node.js; qvl does not open it
    #[value(name = "transformers.js")]
    TransformersJs,
}

/// A precision, as the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PrecisionArg {
    /// Single precision
    Fp32,
    /// Half precision: half the size
    Fp16,
    /// Blocks of 8-bit integers: a quarter
    Int8,
    /// Blocks of 4-bit integers, a few matrices 8-bit (see --mix): about a seventh
    Int4,
}

/// A way to round weights, as the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MethodArg {
    /// To nearest, by the extremes of each block
    Rtn,
    /// By the range of each block that leaves the smallest squared error
    Search,
    /// As search, after inputs that calibration finds large were given finer codes
    Awq,
    /// Column after column, each one's error made up for by the later ones as calibration weighs it
    Gptq,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Package => Self::Package,
            LayoutArg::TransformersJs => Self::TransformersJs,
        }
    }
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Rtn => Self::Rtn,
            MethodArg::Search => Self::Search,
            MethodArg::Awq => Self::Awq,
            MethodArg::Gptq => Self::Gptq,
        }
    }
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::Fp32 => Self::Fp32,
            PrecisionArg::Fp16 => Self::Fp16,
            PrecisionArg::Int8 => Self::Int8,
            PrecisionArg::Int4 => Self::Int4,
        }
    }
}

/// The model to use.
#[derive(Debug, Args)]
pub struct PackageArg {
    /// A package that `qvl export` wrote, or a checkpoint, which is exported into the cache on its first use
    /// [default: the small demo model that is built in]
    pub package: Option<PathBuf>,
}

/// `qvl run`
#[derive(Debug, Args)]
#[command(after_help = "\
Pictures and videos come before the text, in the order given. The answer goes to stdout while it is generated. Ctrl-C
ends it: what is there is printed, and the exit code is 130.

With --json one object is printed at the end:
  text, token_ids, prompt_token_ids, finish_reason (stop, length or cancelled), images (one for each picture or video:
  grid_thw, width, height, tokens), usage {prompt_tokens, completion_tokens}, speculation {drafted, accepted} (tokens
  that were guessed, and of these the right ones), timings_ms {load, vision, prefill, decode}

Examples:
  qvl run qwen3-vl-4b --image photo.jpg --prompt \"What is in this picture?\"
  qvl run qwen3-vl-4b --image a.png --image b.png --prompt \"What is different?\" --no-sample --json
  qvl run qwen3-vl-4b --frames frame-*.png --fps 24 --prompt \"What happens?\"
  git diff | qvl run qwen3-vl-4b --prompt -")]
pub struct RunArgs {
    #[command(flatten)]
    pub package: PackageArg,
    /// The question; `-` reads it from stdin
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: String,
    /// A system message before it
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Print one JSON object instead of the text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub media: MediaArgs,
    #[command(flatten)]
    pub pixels: PixelArgs,
    #[command(flatten)]
    pub generation: GenerationArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `qvl chat`
#[derive(Debug, Args)]
#[command(after_help = "\
In the chat: /image FILE and /video FILE add to the next message, /reset forgets the turns, /help lists all commands.
Ctrl-C ends the answer, Ctrl-D leaves. Lines may also come from a pipe.")]
pub struct ChatArgs {
    #[command(flatten)]
    pub package: PackageArg,
    /// A system message
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub pixels: PixelArgs,
    #[command(flatten)]
    pub generation: GenerationArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `qvl inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A checkpoint or a package [default: the package of the demo model]
    pub path: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `qvl runtime`
#[derive(Debug, Args)]
pub struct RuntimeArgs {
    #[command(subcommand)]
    pub command: RuntimeCommand,
}

/// The commands of `qvl runtime`.
#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Put the official ONNX Runtime library into the cache, with your own pip or uv; its hash is checked
    Install,
    /// Print the path of the library that would be used
    Where {
        /// A library to use instead of searching for one
        #[arg(long, value_name = "FILE")]
        ort_lib: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
