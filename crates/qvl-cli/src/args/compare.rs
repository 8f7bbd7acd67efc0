//! `qvl compare`

use std::path::PathBuf;

use clap::Args;
use qvl::compare::DEFAULT_MAX_NEW_TOKENS;

use super::{EngineArgs, PixelArgs, QuestionArgs};

/// `qvl compare`
#[derive(Debug, Args)]
#[command(after_help = "\
The questions have the form that `qvl eval --help` describes. To each the reference answers greedily, and both models
predict every token of that answer after the same tokens:
  KL          KL(reference || candidate) of the distributions of the next token, in nats: 0 is equal
  top-1       how often both find the same token most likely
  perplexity  on the reference's greedy answers, and on the answers that the file gives (\"given\")
  agree       how long the candidate's own greedy answer is the reference's
  endless     greedy answers that end at --max-new-tokens in a repetition: for some n up to 16, the last max(4n, 16)
              tokens repeat with period n
Features of the vision encoder are compared token by token; a picture counts once, however often it is asked about.
Ctrl-C ends the comparison: what was measured is printed, and the exit code is 130.

Examples:
  qvl compare qwen3-vl-4b qwen3-vl-4b-int4 --data q.jsonl --limit 20 --plot int4.svg
  qvl compare demo-fp32 demo-int4 --data demo/heldout/questions.jsonl --json -")]
pub struct CompareArgs {
    /// The package to compare with, or a checkpoint, which is exported into the cache on its first use
    pub reference: PathBuf,
    /// The package that is measured: the same model, quantised
    pub candidate: PathBuf,
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// Most tokens of a greedy answer
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_NEW_TOKENS as u32,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: u32,
    /// Write the figures as one JSON object to FILE, or `-` to print it instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw KL by place in the answer and by task, and the weights' errors by layer if the package records them
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    #[command(flatten)]
    pub pixels: PixelArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}
