//! How an answer is generated.

use clap::Args;
use qvl::{BeamSearch, GenerationConfig};

/// Options of the generation; without them the package's `generation_config.json` decides.
#[derive(Debug, Args)]
#[command(next_help_heading = "Generation (defaults: the model's own generation_config.json)")]
pub struct GenerationArgs {
    /// Most tokens of the answer [default: 1024]
    #[arg(long, value_name = "N")]
    pub max_new_tokens: Option<usize>,
    /// Divides the logits: lower is more likely, 0 always takes the most likely token
    #[arg(long, value_name = "F")]
    pub temperature: Option<f32>,
    /// Draw from the N most likely tokens; 0 for all
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Draw from the fewest tokens that have this probability together
    #[arg(long, value_name = "F")]
    pub top_p: Option<f32>,
    /// Drop tokens less likely than this times the most likely one
    #[arg(long, value_name = "F")]
    pub min_p: Option<f32>,
    /// Makes tokens of the prompt and the answer less likely; 1 for none (it breaks tables and code)
    #[arg(long, value_name = "F")]
    pub repetition_penalty: Option<f32>,
    /// Subtracted from the logits of tokens in the answer; 0 for none
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub presence_penalty: Option<f32>,
    /// Subtracted from a token's logit for each time it is in the answer; 0 for none
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub frequency_penalty: Option<f32>,
    /// Add F (-100 to 100) to the logit of the token with the id ID; may be given several times
    #[arg(long, value_name = "ID=F", value_parser = token_and_bias)]
    pub logit_bias: Vec<(u32, f32)>,
    /// Always take the most likely token
    #[arg(long)]
    pub no_sample: bool,
    /// Search the most likely answer with N beams (to 16; 1 for none) instead of drawing one. The text comes at its end
    #[arg(long, value_name = "N", conflicts_with_all = ["temperature", "top_k", "top_p", "min_p", "seed"])]
    pub num_beams: Option<usize>,
    /// Rank the answers of beams by their log-probability over their number of tokens to the power F: above 0 favours long ones,
    /// below 0 short ones [default: 1]
    #[arg(long, value_name = "F", allow_negative_numbers = true, requires = "num_beams")]
    pub length_penalty: Option<f32>,
    /// End the search as soon as there are as many whole answers as beams, even if a better one may follow
    #[arg(long, requires = "num_beams")]
    pub early_stopping: bool,
    /// Makes a sampled answer repeatable
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Go on past the model's own end, to --max-new-tokens (for tests and measurements)
    #[arg(long)]
    pub ignore_eos: bool,
    /// Do not guess that what followed the same tokens before follows again. The answer is the same, and where it quotes
    /// the prompt or repeats itself it takes longer
    #[arg(long)]
    pub no_lookup: bool,
}

impl GenerationArgs {
    /// `defaults` with what was given on the command line. An option that shapes the draw turns sampling on.
    pub fn apply(&self, defaults: &GenerationConfig) -> GenerationConfig {
        let mut config = defaults.clone();
        let sampling = &mut config.sampling;
        sampling.do_sample |= self.shapes_the_draw();
        sampling.do_sample &= !self.no_sample && self.num_beams.is_none();
        sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
        sampling.top_k = self.top_k.unwrap_or(sampling.top_k);
        sampling.top_p = self.top_p.unwrap_or(sampling.top_p);
        sampling.min_p = self.min_p.unwrap_or(sampling.min_p);
        sampling.repetition_penalty = self.repetition_penalty.unwrap_or(sampling.repetition_penalty);
        sampling.presence_penalty = self.presence_penalty.unwrap_or(sampling.presence_penalty);
        sampling.frequency_penalty = self.frequency_penalty.unwrap_or(sampling.frequency_penalty);
        sampling.logit_bias.extend_from_slice(&self.logit_bias);
        sampling.seed = self.seed.or(sampling.seed);
        config.max_new_tokens = self.max_new_tokens.unwrap_or(config.max_new_tokens);
        config.stop.extend_from_slice(&self.stop);
        config.ignore_eos |= self.ignore_eos;
        config.prompt_lookup &= !self.no_lookup;
        config.beams = self.beams();
        config
    }

    /// One beam is the greedy answer.
    fn beams(&self) -> Option<BeamSearch> {
        let num_beams = self.num_beams.filter(|&num_beams| num_beams != 1)?;
        let length_penalty = self.length_penalty.unwrap_or(BeamSearch::default().length_penalty);
        Some(BeamSearch { num_beams, length_penalty, early_stopping: self.early_stopping })
    }

    fn shapes_the_draw(&self) -> bool {
        self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some() || self.min_p.is_some()
    }
}

fn token_and_bias(text: &str) -> Result<(u32, f32), String> {
    let parsed = text.split_once('=').and_then(|(id, bias)| Some((id.parse().ok()?, bias.parse().ok()?)));
    parsed.ok_or_else(|| "give the id of a token and a number, such as 1234=-5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        generation: GenerationArgs,
    }

    fn applied(arguments: &[&str], defaults: &GenerationConfig) -> GenerationConfig {
        let line = Line::try_parse_from([&["test"], arguments].concat()).unwrap();
        line.generation.apply(defaults)
    }

    #[test]
    fn nothing_given_changes_nothing() {
        let mut defaults = GenerationConfig::default();
        defaults.sampling.do_sample = true;
        defaults.sampling.top_p = 0.8;
        assert_eq!(applied(&[], &defaults), defaults);
    }

    #[test]
    fn what_is_given_wins() {
        let given = ["--temperature", "0.5", "--top-k", "3", "--seed", "9", "--stop", "a", "--stop", "b"];
        let config = applied(&given, &GenerationConfig::default());
        assert!(config.sampling.do_sample);
        assert_eq!((config.sampling.temperature, config.sampling.top_k), (0.5, 3));
        assert_eq!((config.sampling.seed, config.stop), (Some(9), vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn penalties_and_biases_are_taken() {
        let given = ["--frequency-penalty", "-0.5", "--logit-bias", "7=-100", "--logit-bias", "8=1.5"];
        let sampling = applied(&given, &GenerationConfig::default()).sampling;
        assert!(sampling.is_greedy());
        assert_eq!((sampling.frequency_penalty, sampling.logit_bias), (-0.5, vec![(7, -100.0), (8, 1.5)]));
        for wrong in ["7", "7=", "=1", "-1=1", "7=x"] {
            assert!(Line::try_parse_from(["test", "--logit-bias", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_lookup_is_on_unless_it_is_turned_off() {
        assert!(applied(&[], &GenerationConfig::default()).prompt_lookup);
        assert!(!applied(&["--no-lookup"], &GenerationConfig::default()).prompt_lookup);
    }

    #[test]
    fn beams_take_the_place_of_a_draw() {
        let mut defaults = GenerationConfig::default();
        defaults.sampling.do_sample = true;
        let config = applied(&["--num-beams", "3", "--length-penalty", "-0.5", "--early-stopping"], &defaults);
        assert!(config.sampling.is_greedy());
        let beams = BeamSearch { num_beams: 3, length_penalty: -0.5, early_stopping: true };
        assert_eq!(config.beams, Some(beams));
        let greedy = applied(&["--num-beams", "1"], &defaults);
        assert!(greedy.sampling.is_greedy() && greedy.beams.is_none());
        for wrong in
            [&["--num-beams", "2", "--temperature", "1"][..], &["--early-stopping"], &["--length-penalty", "1"]]
        {
            assert!(Line::try_parse_from([&["test"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_sample_wins_over_all() {
        let config = applied(&["--no-sample", "--temperature", "0.5"], &GenerationConfig::default());
        assert!(config.sampling.is_greedy());
    }
}
