//! Answers without thinking from a model whose template begins every answer with it.

use qvl::{Prompt, Tokenizer};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Ends the thinking that the template began at the end of `prompt`, as the template writes an empty one; a prompt that
/// ends otherwise stays as it is.
///
/// The published template of the Thinking models opens the tag whatever `enable_thinking` says.
pub(crate) fn close(prompt: &mut Prompt, tokenizer: &Tokenizer) {
    let (Some(open), Some(close)) = (tokenizer.token_id(OPEN), tokenizer.token_id(CLOSE)) else { return };
    let last = prompt.token_ids.iter().rposition(|&id| id == open || id == close);
    let Some(opened) = last.filter(|&at| prompt.token_ids[at] == open) else { return };
    let is_blank = |id: &u32| tokenizer.token_bytes(*id).is_some_and(|bytes| bytes.iter().all(u8::is_ascii_whitespace));
    if !prompt.token_ids[opened + 1..].iter().all(is_blank) {
        return;
    }
    let Ok(blank) = tokenizer.encode_plain("\n\n") else { return };
    cut(prompt, opened + 1);
    for id in blank.iter().copied().chain([close]).chain(blank.iter().copied()) {
        push(prompt, id);
    }
}

fn cut(prompt: &mut Prompt, tokens: usize) {
    prompt.token_ids.truncate(tokens);
    prompt.token_types.truncate(tokens);
    prompt.positions.truncate(tokens);
}

/// Adds a token of text, whose position is its index and `rope_delta`.
fn push(prompt: &mut Prompt, id: u32) {
    let position = prompt.token_ids.len() as i64 + prompt.rope_delta;
    let kind = prompt.token_types.last().copied();
    prompt.token_ids.push(id);
    // The tag before it is text.
    prompt.token_types.extend(kind);
    prompt.positions.push([position; 3]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/tokenizer.json");
        Tokenizer::open(file.as_ref()).unwrap()
    }

    fn closed(text: &str) -> Prompt {
        let tokenizer = tokenizer();
        let mut prompt = Prompt::from_tokens(tokenizer.encode_with_special(text).unwrap(), text.to_owned());
        prompt.rope_delta = 5;
        close(&mut prompt, &tokenizer);
        prompt
    }

    #[test]
    fn an_opened_thought_is_closed_as_the_template_writes_an_empty_one() {
        let tokenizer = tokenizer();
        let prompt = closed("<|im_start|>assistant\n<think>\n");
        let wanted = tokenizer.encode_with_special("<|im_start|>assistant\n<think>\n\n</think>\n\n").unwrap();
        assert_eq!(prompt.token_ids, wanted);
        assert_eq!(prompt.token_types.len(), wanted.len());
        assert_eq!(prompt.positions[wanted.len() - 1], [wanted.len() as i64 - 1 + 5; 3]);
    }

    #[test]
    fn other_prompts_stay_as_they_are() {
        for text in ["<|im_start|>assistant\n", "<think>\na", "<think>a</think>\n\n"] {
            assert_eq!(closed(text).token_ids, tokenizer().encode_with_special(text).unwrap());
        }
    }
}
