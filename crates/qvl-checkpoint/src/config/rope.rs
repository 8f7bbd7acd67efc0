//! Rotary position embedding of the text decoder: reading its settings and computing the frequencies (SPEC §5.2).

use std::f64::consts::PI;

use super::fields::Fields;

/// Rotary position embedding with three interleaved axes (time, height, width).
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f64,
    /// Numbers of frequencies of the three axes; they sum to half the head width.
    pub mrope_section: [usize; 3],
    /// YaRN context extension, if the file asks for it.
    pub scaling: Option<YarnConfig>,
}

/// YaRN context extension (Peng et al. 2023, arXiv 2309.00071), with the defaults of transformers filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct YarnConfig {
    /// How many times longer the context becomes.
    pub factor: f64,
    /// Context length of the training, in tokens.
    pub original_max_position_embeddings: usize,
    /// Rotations over the original context above which a frequency is kept; 32 unless given.
    pub beta_fast: f64,
    /// Rotations below which a frequency is fully divided by the factor; 1 unless given.
    pub beta_slow: f64,
    /// Multiplier of cosine and sine; `0.1·ln(factor)+1` unless given.
    pub attention_factor: f64,
    /// Whether the ends of the ramp are rounded outward to whole frequencies; true unless given.
    pub truncate: bool,
}

impl RopeConfig {
    /// The `head_dim/2` frequencies, in float32 as torch computes them.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        match &self.scaling {
            None => inverse_frequencies(self.theta, head_dim),
            Some(yarn) => yarn.inverse_frequencies(self.theta, head_dim),
        }
    }

    /// Multiplier of cosine and sine; 1 without YaRN.
    pub fn attention_factor(&self) -> f32 {
        self.scaling.as_ref().map_or(1.0, |yarn| yarn.attention_factor as f32)
    }

    /// Axis whose position drives frequency `k`: 0 time, 1 height, 2 width.
    ///
    /// The axes alternate t, h, w until the height's or the width's section is used up; the rest is time.
    pub fn axis_of_frequency(&self, k: usize) -> usize {
        match k % 3 {
            axis @ (1 | 2) if k < 3 * self.mrope_section[axis] => axis,
            _ => 0,
        }
    }
}

impl YarnConfig {
    fn inverse_frequencies(&self, theta: f64, head_dim: usize) -> Vec<f32> {
        let (low, high) = self.ramp(theta, head_dim);
        let width = if low == high { 0.001 } else { high - low };
        let (low, width, factor) = (low as f32, width as f32, self.factor as f32);
        powers(theta, head_dim)
            .enumerate()
            .map(|(k, power)| {
                let kept = 1.0 - ((k as f32 - low) / width).clamp(0.0, 1.0);
                1.0 / (factor * power) * (1.0 - kept) + 1.0 / power * kept
            })
            .collect()
    }

    /// First and last frequency index of the ramp between keeping and dividing.
    fn ramp(&self, theta: f64, head_dim: usize) -> (f64, f64) {
        let context = self.original_max_position_embeddings as f64;
        let index = |rotations: f64| head_dim as f64 * (context / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln());
        let (mut low, mut high) = (index(self.beta_fast), index(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low.max(0.0), high.min(head_dim as f64 - 1.0))
    }
}

/// `theta^(-2k/dim)` for `k < dim/2`, in float32.
pub(super) fn inverse_frequencies(theta: f64, dim: usize) -> Vec<f32> {
    powers(theta, dim).map(|power| 1.0 / power).collect()
}

/// `theta^(2k/dim)`: the exponent is rounded to float32, then the power, as `theta ** (arange(0, dim, 2) / dim)` does.
fn powers(theta: f64, dim: usize) -> impl Iterator<Item = f32> {
    let base = f64::from(theta as f32);
    (0..dim / 2).map(move |k| {
        let exponent = (2 * k) as f32 / dim as f32;
        let power = base.powf(f64::from(exponent)) as f32;
        if (theta, exponent) == VECTORISED_POW_BELOW { power.next_down() } else { power }
    })
}

/// Base and exponent (frequency 19 of 64) of the published models where torch's vectorised power, exact to one unit in
/// the last place, is one unit below the nearest float32. Every x86 processor with AVX2 takes that path.
const VECTORISED_POW_BELOW: (f64, f32) = (5_000_000.0, 38.0 / 128.0);

/// Reads `rope_parameters`, or `rope_scaling` with `rope_theta` beside it; notes a problem for anything doubtful.
pub(super) fn read(text: &Fields<'_>, head_dim: usize, max_positions: usize) -> RopeConfig {
    let saved = text.object("rope_parameters", "text_config.rope_parameters");
    let hub = text.object("rope_scaling", "text_config.rope_scaling");
    if let (Some(first), Some(second)) = (text.value("rope_parameters"), text.value("rope_scaling"))
        && first != second
    {
        text.problem("text_config has both rope_parameters and rope_scaling, and they differ".to_owned());
    }
    let Some(rope) = saved.or(hub) else {
        text.problem("text_config.rope_scaling (or rope_parameters) is missing".to_owned());
        return RopeConfig { theta: 1.0, mrope_section: [0; 3], scaling: None };
    };
    check_variant(&rope);
    RopeConfig {
        theta: theta(text, &rope),
        mrope_section: mrope_section(&rope, head_dim),
        scaling: scaling(&rope, max_positions),
    }
}

fn check_variant(rope: &Fields<'_>) {
    if rope.flag("mrope_interleaved") == Some(false) {
        rope.problem(format!("{} is false, but Qwen3-VL interleaves the axes", rope.name("mrope_interleaved")));
    }
    if rope.positive("partial_rotary_factor").is_some_and(|part| part != 1.0) {
        rope.problem(format!("{} must be 1", rope.name("partial_rotary_factor")));
    }
}

/// The base, which has no safe default: transformers 5 falls back to another number than the models were trained with.
fn theta(text: &Fields<'_>, rope: &Fields<'_>) -> f64 {
    let (inside, beside) = (rope.positive("rope_theta"), text.positive("rope_theta"));
    if let (Some(inside), Some(beside)) = (inside, beside)
        && inside != beside
    {
        text.problem(format!("rope_theta is given twice and differs: {inside} and {beside}"));
    }
    match inside.or(beside) {
        Some(theta) if theta > 1.0 => theta,
        Some(theta) => {
            text.problem(format!("text_config.rope_theta is {theta}, must be above 1"));
            theta
        }
        None => {
            text.problem("text_config.rope_theta is missing; the published models have 5000000".to_owned());
            1.0
        }
    }
}

fn mrope_section(rope: &Fields<'_>, head_dim: usize) -> [usize; 3] {
    let section = rope.counts("mrope_section", head_dim, 3);
    let wrong = |found: String| {
        rope.problem(format!(
            "{} is {found}, must be three numbers that sum to half of head_dim ({head_dim})",
            rope.name("mrope_section")
        ));
        [0; 3]
    };
    match section.as_deref() {
        Some(&[t, h, w]) if 2 * (t + h + w) == head_dim => [t, h, w],
        Some(other) => wrong(format!("{other:?}")),
        None => wrong("missing".to_owned()),
    }
}

fn scaling(rope: &Fields<'_>, max_positions: usize) -> Option<YarnConfig> {
    let kind = rope.value("rope_type").or_else(|| rope.value("type"));
    match kind.map(|kind| kind.as_str().unwrap_or_default()) {
        None | Some("default" | "mrope") => None,
        Some("yarn") => Some(yarn(rope, max_positions)),
        Some(_) => {
            rope.problem(format!("{} must be \"default\" or \"yarn\"", rope.name("rope_type")));
            None
        }
    }
}

fn yarn(rope: &Fields<'_>, max_positions: usize) -> YarnConfig {
    let factor = rope.required_positive("factor");
    if factor < 1.0 {
        rope.problem(format!("{} is {factor}, must be 1 or more", rope.name("factor")));
    }
    let (beta_fast, beta_slow) =
        (rope.positive("beta_fast").unwrap_or(32.0), rope.positive("beta_slow").unwrap_or(1.0));
    if beta_fast < beta_slow {
        rope.problem(format!("{} is {beta_fast}, must not be below beta_slow ({beta_slow})", rope.name("beta_fast")));
    }
    let scales = (rope.positive("mscale"), rope.positive("mscale_all_dim"));
    YarnConfig {
        factor,
        original_max_position_embeddings: rope.count_or("original_max_position_embeddings", 1 << 28, max_positions),
        beta_fast,
        beta_slow,
        attention_factor: rope.positive("attention_factor").unwrap_or(match scales {
            (Some(scale), Some(all)) => magnitude(factor, scale) / magnitude(factor, all),
            _ => magnitude(factor, 1.0),
        }),
        truncate: rope.flag("truncate").unwrap_or(true),
    }
}

/// YaRN's rule for the growth of the attention logits with the factor.
fn magnitude(factor: f64, scale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 }
}
