//! Which matrices of the text decoder have another precision than the rest.

mod glob;
mod sensitive;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use qvl_checkpoint::Checkpoint;
use qvl_package::Precision;

use crate::graph::{HEAD, head_name};
use crate::quantize::BlockFormat;
use crate::storage::Storage;
use crate::{ExportError, ExportOptions, Progress};

/// Precision of what `auto` chooses where the rest has fewer bits.
const CHOSEN: Precision = Precision::Int8;

/// Which matrices of a quantised text decoder have another precision than the rest: `auto`, `none`, or a list of
/// `PATTERN=PRECISION` that may begin with `auto`.
///
/// * `auto` keeps the head at 8 bits, because what it loses is lost in every token, and those matrices of the first and
///   the last layer that lose most, up to a fortieth of the layers' weights.
/// * A pattern stands for whole names of tensors, as `package.json` has them, with or without their `.weight`: `*` is
///   any number of characters, `?` is one. Of several that match, the last counts. The head is `lm_head` even where it
///   is the token table.
///
/// ```
/// # use qvl_export::Mix;
/// let mix: Mix = "auto,*.layers.0.*=int8,*.down_proj=fp16".parse()?;
/// assert_eq!(mix.to_string(), "auto,*.layers.0.*=int8,*.down_proj=fp16");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    is_auto: bool,
    rules: Vec<Rule>,
}

/// The precision of the tensors that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: String,
    precision: Precision,
}

impl Mix {
    /// What serves most models.
    pub const AUTO: Self = Self { is_auto: true, rules: Vec::new() };

    /// One precision for all.
    pub const NONE: Self = Self { is_auto: false, rules: Vec::new() };

    /// The tensors of `checkpoint` that have another precision than `options` gives the text decoder, and theirs.
    ///
    /// # Errors
    /// If a pattern stands for no tensor, the experts of a layer would differ, or nothing is quantised.
    pub(crate) fn resolve(
        &self,
        checkpoint: &Checkpoint,
        options: &ExportOptions,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<String, Precision>, ExportError> {
        let precision = options.precision;
        let Storage::Blocks(format) = options.storage(precision) else {
            return if self.rules.is_empty() {
                Ok(BTreeMap::new())
            } else {
                Err(ExportError::MixOfFloats { precision })
            };
        };
        let names = matrices(checkpoint);
        let mut mix = BTreeMap::new();
        if self.is_auto {
            choose(&mut mix, checkpoint, &names, format, progress)?;
        }
        for rule in &self.rules {
            // A tied head goes by its own name too, so that one rule serves all sizes of a model.
            let is_head = |name: &str| name == head_name(checkpoint) && rule.matches(HEAD);
            let matching: Vec<&String> = names.iter().filter(|name| rule.matches(name) || is_head(name)).collect();
            if matching.is_empty() {
                return Err(unknown_pattern(&rule.pattern, &names));
            }
            mix.extend(matching.into_iter().map(|name| (name.clone(), rule.precision)));
        }
        mix.retain(|_, own| *own != precision);
        check_experts(&names, &mix, precision)?;
        Ok(mix)
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self::AUTO
    }
}

impl Rule {
    fn matches(&self, name: &str) -> bool {
        let short = name.strip_suffix(".weight");
        glob::matches(&self.pattern, name) || short.is_some_and(|short| glob::matches(&self.pattern, short))
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('=') {
            Some((pattern, precision)) if !pattern.is_empty() => {
                Ok(Self { pattern: pattern.to_owned(), precision: precision.parse()? })
            }
            _ => Err(format!("`{text}` is no PATTERN=PRECISION; write for example *.down_proj=int8")),
        }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self::NONE;
        if text == "none" {
            return Ok(mix);
        }
        for part in text.split(',').map(str::trim) {
            match part {
                "auto" => mix.is_auto = true,
                "none" => return Err("`none` stands alone".to_owned()),
                rule => mix.rules.push(rule.parse()?),
            }
        }
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.iter().map(|rule| format!("{}={}", rule.pattern, rule.precision));
        let parts: Vec<String> = self.is_auto.then(|| "auto".to_owned()).into_iter().chain(rules).collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

/// The text decoder's matrices that can be quantised: those of its layers but the routers, and the head.
fn matrices(checkpoint: &Checkpoint) -> Vec<String> {
    let is_matrix = |name: &str, rank: usize| {
        name.starts_with("model.language_model.layers.") && rank >= 2 && !name.ends_with(".mlp.gate.weight")
    };
    let tensors = checkpoint.tensors().filter(|tensor| is_matrix(tensor.name(), tensor.shape().len()));
    let mut names: Vec<String> = tensors.map(|tensor| tensor.name().to_owned()).collect();
    names.push(head_name(checkpoint).to_owned());
    names.sort();
    names
}

/// What `auto` chooses.
fn choose(
    mix: &mut BTreeMap<String, Precision>,
    checkpoint: &Checkpoint,
    names: &[String],
    format: BlockFormat,
    progress: &dyn Progress,
) -> Result<(), ExportError> {
    if CHOSEN.bits().is_some_and(|bits| format.bits < bits) {
        mix.insert(head_name(checkpoint).to_owned(), CHOSEN);
        let sensitive = sensitive::sensitive(checkpoint, names, format, progress)?;
        mix.extend(sensitive.into_iter().map(|name| (name, CHOSEN)));
    }
    Ok(())
}

fn unknown_pattern(pattern: &str, names: &[String]) -> ExportError {
    let of_a_layer = names.iter().find(|name| name.contains(".layers.")).map_or("", String::as_str);
    ExportError::MixPattern { pattern: pattern.to_owned(), examples: format!("{of_a_layer} or lm_head.weight") }
}

/// `QMoE` has one number of bits for both matrices of a layer's experts.
fn check_experts(names: &[String], mix: &BTreeMap<String, Precision>, precision: Precision) -> Result<(), ExportError> {
    let bits = |name: &str| mix.get(name).copied().unwrap_or(precision).bits();
    for name in names {
        if let Some(layer) = name.strip_suffix(".experts.gate_up_proj")
            && bits(name) != bits(&format!("{layer}.experts.down_proj"))
        {
            return Err(ExportError::ExpertsDiffer { layer: layer.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_written_as_it_is_read() {
        for text in ["auto", "none", "*.layers.0.*=int8", "auto,lm_head=fp16,*=int4"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!(" auto , *=int8".parse::<Mix>().unwrap().to_string(), "auto,*=int8");
    }

    #[test]
    fn what_is_no_mix_is_explained() {
        for (text, message) in [
            ("", "`` is no PATTERN=PRECISION; write for example *.down_proj=int8"),
            ("=int8", "`=int8` is no PATTERN=PRECISION; write for example *.down_proj=int8"),
            ("all", "`all` is no PATTERN=PRECISION; write for example *.down_proj=int8"),
            ("none,*=int8", "`none` stands alone"),
            ("*=int5", "unknown precision `int5`; use fp32, fp16, int8 or int4"),
        ] {
            assert_eq!(text.parse::<Mix>().unwrap_err(), message);
        }
    }

    #[test]
    fn the_end_of_a_name_can_be_left_out() {
        let rule: Rule = "*.down_proj=int8".parse().unwrap();
        assert!(rule.matches("model.layers.0.mlp.down_proj.weight"));
        assert!(rule.matches("model.layers.0.mlp.experts.down_proj"));
        assert!(!rule.matches("model.layers.0.mlp.up_proj.weight"));
    }
}
