//! Log-probabilities as OpenAI's endpoints write them.

use qvl::{GenerationConfig, TokenLogprobs};
use serde_json::{Map, Value, json};

/// What stands for a probability of 0, whose logarithm JSON cannot write.
const NEVER: f32 = -9999.0;

/// The entry of `/v1/chat/completions`; none for a token that ended the answer, whose text is not shown.
pub(crate) fn chat_logprobs(id: u32, logprobs: Option<&TokenLogprobs>, config: &GenerationConfig) -> Option<Value> {
    let logprobs = shown(id, logprobs, config)?;
    let mut entry = entry(logprobs.logprob, &logprobs.bytes);
    let top = logprobs.top.iter().map(|(_, logprob, bytes)| Value::Object(self::entry(*logprob, bytes)));
    entry.insert("top_logprobs".to_owned(), top.collect());
    Some(Value::Object(entry))
}

/// The log-probabilities, unless the token ended the answer.
pub(crate) fn shown<'t>(
    id: u32,
    logprobs: Option<&'t TokenLogprobs>,
    config: &GenerationConfig,
) -> Option<&'t TokenLogprobs> {
    logprobs.filter(|_| config.ignore_eos || !config.eos_token_ids.contains(&id))
}

fn entry(logprob: f32, bytes: &[u8]) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("token".to_owned(), json!(token_text(bytes)));
    entry.insert("logprob".to_owned(), json!(finite(logprob)));
    entry.insert("bytes".to_owned(), json!(bytes));
    entry
}

/// The text of a token; of half a character, what stands for it.
pub(crate) fn token_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The number, or what stands for minus infinity.
pub(crate) fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() { logprob } else { NEVER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_text_bytes_and_alternatives() {
        let logprobs = TokenLogprobs {
            id: 5,
            logprob: f32::NEG_INFINITY,
            bytes: vec![0xe5, 0xa5],
            top: vec![(7, -0.5, b"a".to_vec())],
        };
        let mut config = GenerationConfig { eos_token_ids: vec![5], ..GenerationConfig::default() };
        assert_eq!(chat_logprobs(5, Some(&logprobs), &config), None);
        config.ignore_eos = true;
        let entry = chat_logprobs(5, Some(&logprobs), &config).unwrap();
        assert_eq!(entry["logprob"], json!(-9999.0));
        assert_eq!(entry["bytes"], json!([0xe5, 0xa5]));
        assert_eq!(entry["token"], "\u{fffd}");
        assert_eq!(entry["top_logprobs"], json!([{"token": "a", "logprob": -0.5, "bytes": [97]}]));
        assert_eq!(chat_logprobs(5, None, &config), None);
    }
}
