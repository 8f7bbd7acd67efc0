//! `qvl eval`

use std::path::PathBuf;

use clap::Args;
use qvl::eval::DEFAULT_MAX_NEW_TOKENS;

use super::{EngineArgs, PackageArg, PixelArgs, QuestionArgs};

/// `qvl eval`
#[derive(Debug, Args)]
#[command(after_help = "\
Each line of the question file is one JSON object; pictures and animations are given relative to the file's folder:
  {\"id\": \"1\", \"task\": \"colour\", \"answer\": \"Red\", \"metric\": \"exact\",
   \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"a.png\"},
   {\"type\": \"text\", \"text\": \"What colour is the circle?\"}]}]}
Metrics: exact (equal but for case, white space and a full stop at the end), words (share of the reference's words at
their places), boxes (mean intersection over union with boxes of the same label), items (the same things in any order).

Answers are greedy. A task's score is the mean over its questions, the overall score the mean over the tasks. Ctrl-C ends
the evaluation: the scores of what was answered are printed, and the exit code is 130.

Examples:
  qvl eval --data demo/heldout/questions.jsonl
  qvl eval qwen3-vl-4b --data q.jsonl --task colour --limit 20 --answers a.jsonl --json -")]
pub struct EvalArgs {
    #[command(flatten)]
    pub package: PackageArg,
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_NEW_TOKENS)]
    pub max_new_tokens: usize,
    /// Write the scores as one JSON object to FILE, or `-` to print it instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write each answer as it comes: id, task, answer, reference and score, a JSON object on a line
    #[arg(long, value_name = "FILE.jsonl")]
    pub answers: Option<PathBuf>,
    #[command(flatten)]
    pub pixels: PixelArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}
