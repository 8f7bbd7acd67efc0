//! Development commands: `cargo run --release -p xtask -- COMMAND`.

mod assets;
mod checkpoint;

use clap::{Parser, Subcommand};

/// Development commands of qvl.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a checkpoint of a published size, or of any config.json, with random weights.
    Checkpoint(checkpoint::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Checkpoint(arguments) => checkpoint::run(&arguments),
    }
}
