//! `qvl requantize`

use std::path::PathBuf;

use clap::Args;

use super::{ChoiceArgs, PrecisionArg};

/// `qvl requantize`
#[derive(Debug, Args)]
#[command(after_help = "\
The weights are unpacked beside DIR first, which takes as much space as PACKAGE while the command runs. From an fp32
package the result is that of an export of its checkpoint; what an fp16 package rounded away stays away, and inspect
says so. Quantised packages are refused. Whenever the command is stopped, DIR is as it was.

Examples:
  qvl requantize qwen3-vl-4b -o qwen3-vl-4b-int4 --precision int4
  qvl requantize qwen3-vl-4b -o qwen3-vl-4b-int8 --precision int8 --vision-precision int8 --block-size 64")]
pub struct RequantizeArgs {
    /// An fp32 or fp16 package that `qvl export` wrote
    pub package: PathBuf,
    /// The package to write
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Type of the weights
    #[arg(long, value_enum)]
    pub precision: PrecisionArg,
    #[command(flatten)]
    pub choices: ChoiceArgs,
}
