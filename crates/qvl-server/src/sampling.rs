//! How an answer is generated, as requests say it.

use qvl::{GenerationConfig, Processor};
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::Fields;
use crate::options::ServerLimits;

/// Longest stop text, in bytes.
const MAX_STOP_BYTES: usize = 1024;

/// Reads the sampling fields that all endpoints share, on top of the model's own settings.
///
/// A field that shapes the draw turns sampling on, as on the command line; a temperature of 0 is greedy.
///
/// # Errors
/// Names the first field that is wrong.
pub(crate) fn read_sampling(
    fields: &mut Fields,
    defaults: &GenerationConfig,
    processor: &Processor,
    limits: &ServerLimits,
) -> Result<GenerationConfig, ApiError> {
    let mut config = defaults.clone();
    config.max_new_tokens = config.max_new_tokens.min(limits.answer_tokens);
    let temperature = fields.number("temperature", 0.0..=100.0)?.map(|value| value as f32);
    let top_p = read_top_p(fields)?;
    // Some clients turn it off with -1, others with 0.
    let top_k = fields.integer::<i64>("top_k", -1..=i64::from(u32::MAX))?.map(|k| usize::try_from(k).unwrap_or(0));
    let min_p = fields.number("min_p", 0.0..=1.0)?.map(|value| value as f32);
    let shapes_the_draw = temperature.is_some() || top_p.is_some() || top_k.is_some() || min_p.is_some();
    let sampling = &mut config.sampling;
    sampling.do_sample |= shapes_the_draw;
    sampling.temperature = temperature.unwrap_or(sampling.temperature);
    sampling.top_p = top_p.unwrap_or(sampling.top_p);
    sampling.top_k = top_k.unwrap_or(sampling.top_k);
    sampling.min_p = min_p.unwrap_or(sampling.min_p);
    let penalty = |fields: &mut Fields, name: &str, own: f32| {
        fields.number(name, -100.0..=100.0).map(|found| found.map_or(own, |value| value as f32))
    };
    sampling.presence_penalty = penalty(fields, "presence_penalty", sampling.presence_penalty)?;
    sampling.frequency_penalty = penalty(fields, "frequency_penalty", sampling.frequency_penalty)?;
    let repetition = fields.number("repetition_penalty", 0.01..=100.0)?;
    sampling.repetition_penalty = repetition.map_or(sampling.repetition_penalty, |value| value as f32);
    // A negative seed is a seed as well.
    sampling.seed = fields.integer::<i64>("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned).or(sampling.seed);
    sampling.logit_bias = read_logit_bias(fields, processor, limits)?;
    config.ignore_eos = fields.flag("ignore_eos")?.unwrap_or(false);
    config.stop = read_stop(fields, limits)?;
    Ok(config)
}

/// Above 0: with 0 not even one token would be left.
fn read_top_p(fields: &mut Fields) -> Result<Option<f32>, ApiError> {
    match fields.number("top_p", 0.0..=1.0)?.map(|value| value as f32) {
        Some(0.0) => {
            Err(fields.error("top_p", "must be above 0 and at most 1; for the most likely token give temperature 0"))
        }
        top_p => Ok(top_p),
    }
}

/// The length of the answer, under any of `names`; those that are given must agree.
///
/// # Errors
/// If one is out of range, or two differ.
pub(crate) fn read_max_tokens(
    fields: &mut Fields,
    names: &[&str],
    limits: &ServerLimits,
) -> Result<Option<usize>, ApiError> {
    let mut found = None;
    for name in names {
        let Some(count) = fields.count(name, 1, limits.answer_tokens)? else { continue };
        if found.is_some_and(|other| other != count) {
            return Err(fields.error(name, format!("differs from {}; give one of them", names[0])));
        }
        found = Some(count);
    }
    Ok(found)
}

/// A text or a list of texts.
fn read_stop(fields: &mut Fields, limits: &ServerLimits) -> Result<Vec<String>, ApiError> {
    let texts = match fields.value("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) if items.len() <= limits.stop_texts => {
            let texts = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(fields.error("stop", "must be a string or a list of strings")),
            });
            texts.collect::<Result<_, _>>()?
        }
        Some(Value::Array(_)) => {
            return Err(fields.error("stop", format!("over {} texts; give fewer", limits.stop_texts)));
        }
        Some(_) => return Err(fields.error("stop", "must be a string or a list of strings")),
    };
    if texts.iter().any(String::is_empty) {
        return Err(fields.error("stop", "a stop text is empty; leave it out"));
    }
    if texts.iter().any(|text| text.len() > MAX_STOP_BYTES) {
        return Err(fields.error("stop", format!("a stop text has over {MAX_STOP_BYTES} bytes; shorten it")));
    }
    Ok(texts)
}

/// `{"token id": bias}`.
fn read_logit_bias(
    fields: &mut Fields,
    processor: &Processor,
    limits: &ServerLimits,
) -> Result<Vec<(u32, f32)>, ApiError> {
    let Some(object) = fields.object("logit_bias")? else { return Ok(Vec::new()) };
    let entries = object.into_rest();
    if entries.len() > limits.logit_bias {
        return Err(fields.error("logit_bias", format!("over {} entries; give fewer", limits.logit_bias)));
    }
    let ids = processor.tokenizer().id_count();
    let entries = entries.into_iter().map(|(id, bias)| {
        let id = id.parse::<u32>().ok().filter(|&id| (id as usize) < ids);
        let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias));
        match (id, bias) {
            (Some(id), Some(bias)) => Ok((id, bias as f32)),
            _ => {
                let what = format!("must map token ids below {ids} to numbers from -100 to 100");
                Err(fields.error("logit_bias", what))
            }
        }
    });
    entries.collect()
}

/// `n`, and the seeds of the answers: consecutive ones, so that each can be repeated alone.
pub(crate) fn with_seed(config: &GenerationConfig, index: usize) -> GenerationConfig {
    let mut config = config.clone();
    config.sampling.seed = config.sampling.seed.map(|seed| seed.wrapping_add(index as u64));
    config
}
