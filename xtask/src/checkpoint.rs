//! `xtask checkpoint`: a full-size checkpoint with random weights.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qvl_checkpoint::synthetic::{self, SyntheticOptions};
use qvl_checkpoint::{Config, PUBLISHED_SIZES, published_config};

use crate::assets;

/// Arguments of `xtask checkpoint`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A published size.
    #[arg(long, value_parser = PUBLISHED_SIZES, required_unless_present = "config")]
    size: Option<String>,
    /// A config.json of any size.
    #[arg(long, conflicts_with = "size", value_name = "FILE")]
    config: Option<PathBuf>,
    /// New directory for the checkpoint.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Seed of the random weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Directory with the tokenizer, the chat template and the other small files.
    #[arg(long, value_name = "DIR", default_value = "reference/real/hub")]
    assets: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = config(arguments)?;
    let options = SyntheticOptions { seed: arguments.seed, ..SyntheticOptions::default() };
    let bar = ProgressBar::new(synthetic::weight_bytes(&config, &options));
    bar.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?);
    synthetic::write(&config, &arguments.output, &options, &|bytes| bar.inc(bytes))?;
    bar.finish();
    assets::copy(&arguments.assets, arguments.size.as_deref(), &arguments.output)?;
    if let Some(path) = &arguments.config {
        replace_config(path, &arguments.output)?;
    }
    Ok(())
}

fn config(arguments: &Arguments) -> anyhow::Result<Config> {
    if let Some(path) = &arguments.config {
        return Ok(Config::read(path)?);
    }
    arguments.size.as_deref().and_then(published_config).context("give --size or --config")
}

/// Keeps the user's own text, which may say more than what the weights follow from.
fn replace_config(from: &Path, directory: &Path) -> anyhow::Result<()> {
    std::fs::copy(from, directory.join("config.json")).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
