//! `qvl bench`

use clap::Args;
use qvl::bench::Part;
use qvl::{Device, EngineChoice, KvPrecision};

use super::{EngineArgs, EngineSetupArgs, PackageArg};

/// `qvl bench`
#[derive(Debug, Args)]
#[command(after_help = "\
Measured are opening the package, encoding pictures of 512x512 and 1024x768 pixels, prompts of 512
and 2048 tokens, and decoding a token after 0, 2048 and 8192 others; what exceeds the context of the
model is left out. Each run also measures what the machine can do: reading memory, and int8 and
float32 operations (two for each multiply-add) in registers.

The share of the limit:
  decoding   the bytes that a token has to read, over the time and the speed of the memory: the text
             decoder and its head as the package stores them, of experts the chosen ones, and keys
             and values in half precision (small models stay in the processor's caches, above 100 %)
  the rest   the operations of matrices and attention, over the time and the int8 peak where the
             matrices are in blocks, the float32 peak otherwise
Memory is the most that was resident up to there, mapped weights and libraries included.

All figures are the median, the least and the greatest of the runs. In each run every engine has its
turn, and shares and ratios are formed within a run: compare those, and not seconds of two days or
two machines. Each engine is opened once before, so that files are cached. Ctrl-C ends it: what was
measured is printed, and the exit code is 130.

Examples:
  qvl bench qwen3-vl-4b-int4
  qvl bench qwen3-vl-4b-int4 --engine cpu,ort --only prefill,decode --runs 5
  qvl bench --quick --json")]
pub struct BenchArgs {
    #[command(flatten)]
    pub package: PackageArg,
    /// Only these parts: vision, prefill, decode; with commas between them or given several times
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub only: Vec<Part>,
    /// Only the smallest picture, prompt and context
    #[arg(long)]
    pub quick: bool,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Print one JSON object instead of the tables
    #[arg(long)]
    pub json: bool,
    /// What computes: auto, cpu or ort, as for the other commands; several, with commas between them or given several
    /// times, are measured in turn, and the first is compared with the others
    #[arg(
        long = "engine",
        value_name = "ENGINE",
        value_delimiter = ',',
        default_value = "auto",
        help_heading = "Engine"
    )]
    pub engines: Vec<EngineChoice>,
    #[command(flatten)]
    pub setup: EngineSetupArgs,
}

impl BenchArgs {
    /// The engines. Where they are different ones, each gets those of the options that mean something to it.
    pub fn engines(&self) -> Vec<EngineArgs> {
        let engines = self.engines.iter().map(|&engine| EngineArgs { engine, setup: self.setup.clone() });
        let mut engines: Vec<EngineArgs> = engines.collect();
        let uses_ort = |engine: &EngineArgs| engine.options().uses_ort();
        if engines.iter().any(uses_ort) && !engines.iter().all(uses_ort) {
            for engine in &mut engines {
                if uses_ort(engine) {
                    engine.setup.precise = false;
                    engine.setup.kv_cache = KvPrecision::Auto;
                } else {
                    engine.setup.device = Device::Cpu;
                }
            }
        }
        engines
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn bench(arguments: &[&str]) -> BenchArgs {
        Line::try_parse_from([&["test"], arguments].concat()).unwrap().bench
    }

    #[test]
    fn engines_and_parts_are_lists() {
        let commas = bench(&["--engine", "cpu,ort", "--only", "vision,decode"]);
        let repeated = bench(&["--engine", "cpu", "--engine", "ort", "--only", "vision", "--only", "decode"]);
        for args in [commas, repeated] {
            assert_eq!(args.engines, [EngineChoice::Cpu, EngineChoice::Ort]);
            assert_eq!(args.only, [Part::Vision, Part::Decode]);
        }
        assert_eq!(bench(&[]).engines, [EngineChoice::Auto]);
    }

    #[test]
    fn an_option_goes_to_the_engine_that_knows_it() {
        let line = "--engine cpu,ort --precise --kv-cache int8 --device cuda --threads 3";
        let engines = bench(&line.split(' ').collect::<Vec<_>>()).engines();
        let options: Vec<_> = engines.iter().map(EngineArgs::options).collect();
        assert_eq!(options.iter().map(|options| options.precise).collect::<Vec<_>>(), [true, false]);
        let kv_caches: Vec<_> = options.iter().map(|options| options.kv_cache).collect();
        assert_eq!(kv_caches, [KvPrecision::Int8, KvPrecision::Auto]);
        assert_eq!(options.iter().map(|options| options.device).collect::<Vec<_>>(), [Device::Cpu, Device::Cuda]);
        assert!(options.iter().all(|options| options.threads == Some(3)));
        // The engine itself refuses what is asked of it alone.
        assert!(bench(&["--engine", "ort", "--precise"]).engines()[0].options().precise);
    }
}
