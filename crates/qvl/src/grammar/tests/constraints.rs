//! Masks, commits, ends, and thinking before the answer.

use serde_json::json;

use super::{Constraint, Grammar, GrammarCompiler, GrammarError, MODEL, ROWS, accepts, message, schema};

/// Grammars are made on one thread and used on others.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<GrammarCompiler>();
    shared::<Grammar>();
    sent::<Constraint>();
};

#[test]
fn a_satisfied_grammar_ends_the_answer() {
    let grammar = schema(json!({"enum": ["a", "b"]})).unwrap();
    let mut constraint = Constraint::new(&grammar, &[]);
    for token in MODEL.tokenizer.encode_plain("\"a\"").unwrap() {
        assert!(!constraint.is_finished() && !constraint.may_end().unwrap());
        constraint.commit(token).unwrap();
    }
    assert!(constraint.is_finished() && constraint.may_end().unwrap());
    let mut logits = vec![0.0; ROWS];
    constraint.mask(&mut logits).unwrap();
    let allowed: Vec<usize> = (0..ROWS).filter(|&id| logits[id] == 0.0).collect();
    let mut ends: Vec<usize> = MODEL.ends.iter().map(|&end| end as usize).collect();
    ends.sort_unstable();
    assert_eq!(allowed, ends);
    constraint.commit(MODEL.ends[0]).unwrap();
}

#[test]
fn tokens_that_do_not_fit_are_excluded_and_refused() {
    let grammar = MODEL.compiler.json_object().unwrap();
    let mut constraint = Constraint::new(&grammar, &[]);
    let mut logits = vec![0.0; ROWS];
    constraint.mask(&mut logits).unwrap();
    for (id, logit) in (0_u32..).zip(&logits) {
        let begins = MODEL.tokenizer.token_bytes(id).is_some_and(|bytes| bytes[0] == b'{');
        assert!(begins || *logit == f32::NEG_INFINITY, "{id}");
    }
    let wrong = MODEL.tokenizer.encode_plain("x").unwrap()[0];
    assert_eq!(constraint.commit(wrong), Err(GrammarError::Refused { token: wrong }));
    assert_eq!(constraint.commit(MODEL.ends[0]), Err(GrammarError::Refused { token: MODEL.ends[0] }));
}

#[test]
fn control_tokens_are_in_no_string() {
    let grammar = schema(json!({"type": "string"})).unwrap();
    let mut constraint = Constraint::new(&grammar, &[]);
    constraint.commit(MODEL.tokenizer.encode_plain("\"").unwrap()[0]).unwrap();
    let mut logits = vec![0.0; ROWS];
    constraint.mask(&mut logits).unwrap();
    let controls: Vec<u32> = MODEL.tokenizer.control_ids().collect();
    assert!(
        ["<|im_end|>", "<tool_call>"].iter().all(|token| controls.contains(&MODEL.tokenizer.token_id(token).unwrap()))
    );
    for id in controls {
        assert_eq!(logits[id as usize], f32::NEG_INFINITY, "{id}");
    }
    assert!(accepts(&grammar, "\"plain < text>\""));
}

#[test]
fn answers_to_one_grammar_do_not_share_a_state() {
    let grammar = schema(json!({"enum": ["ab", "cd"]})).unwrap();
    let mut first = Constraint::new(&grammar, &[]);
    for token in MODEL.tokenizer.encode_plain("\"ab\"").unwrap() {
        first.commit(token).unwrap();
    }
    assert!(first.is_finished());
    assert!(accepts(&grammar, "\"cd\""));
}

#[test]
fn the_grammar_waits_for_the_end_of_thinking() {
    let token = |text: &str| MODEL.tokenizer.token_id(text).unwrap();
    let prompt = [token("<think>")];
    let grammar = schema(json!({"enum": ["a"]})).unwrap();
    for between in ["", "\n", "\n\n"] {
        let mut constraint = Constraint::new(&grammar, &prompt);
        let mut logits = vec![0.0; ROWS];
        constraint.mask(&mut logits).unwrap();
        let excluded = logits.iter().filter(|&&logit| logit == f32::NEG_INFINITY).count();
        assert_eq!(excluded, MODEL.ends.len());
        for id in MODEL.tokenizer.encode_plain("free text, {").unwrap() {
            constraint.commit(id).unwrap();
        }
        assert!(!constraint.may_end().unwrap());
        constraint.commit(token("</think>")).unwrap();
        for id in MODEL.tokenizer.encode_plain(&format!("{between}\"a\"")).unwrap() {
            let mut logits = vec![0.0; ROWS];
            constraint.mask(&mut logits).unwrap();
            assert_eq!(logits[id as usize], 0.0);
            constraint.commit(id).unwrap();
        }
        assert!(constraint.is_finished());
    }
    let mut constraint = Constraint::new(&grammar, &prompt);
    constraint.commit(token("</think>")).unwrap();
    let broken = MODEL.tokenizer.encode_plain("\n").unwrap()[0];
    constraint.commit(broken).unwrap();
    constraint.commit(broken).unwrap();
    assert!(constraint.commit(broken).is_err());
}

#[test]
fn choices_and_patterns_are_kept_to() {
    let choices = ["yes".to_owned(), "no \"é\"\n\u{1}".to_owned()];
    let grammar = MODEL.compiler.choice(&choices).unwrap();
    for choice in &choices {
        assert!(accepts(&grammar, choice));
    }
    assert!(!accepts(&grammar, "ye") && !accepts(&grammar, "yes "));
    let grammar = MODEL.compiler.regex(r"\d{3}-[a-z]+/x").unwrap();
    assert!(accepts(&grammar, "123-ab/x") && !accepts(&grammar, "12-ab/x"));
    assert!(message(MODEL.compiler.choice(&[])).contains("nothing to choose from"));
    assert!(MODEL.compiler.regex("(").is_err());
}
