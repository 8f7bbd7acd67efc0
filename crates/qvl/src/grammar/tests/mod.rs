//! What the tests share: a small model's tokens, random answers, and whether a text is a possible answer.

mod constraints;
mod refused;
mod schemas;
mod tools;

use std::sync::LazyLock;

use qvl_processor::Tokenizer;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::*;

/// Rows of the table of the tiny models; their tokenizer has fewer tokens.
const ROWS: usize = 1280;

struct Model {
    tokenizer: Tokenizer,
    ends: Vec<u32>,
    compiler: GrammarCompiler,
}

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/tokenizer.json");
    let tokenizer = Tokenizer::open(file.as_ref()).unwrap();
    let ends = ["<|im_end|>", "<|endoftext|>"].map(|token| tokenizer.token_id(token).unwrap()).to_vec();
    let compiler = GrammarCompiler::new(&tokenizer, &ends).unwrap();
    Model { tokenizer, ends, compiler }
});

/// The bytes of what a model says whose logits are drawn, and whether it came to an end. After a while it leans towards
/// closing what is open, since random strings grow long.
fn random_answer(constraint: &mut Constraint, seed: u64) -> (Vec<u32>, bool) {
    let Model { tokenizer, ends, .. } = &*MODEL;
    let closes =
        |id: u32| tokenizer.token_bytes(id).is_some_and(|bytes| bytes.iter().all(|byte| b"\"}]".contains(byte)));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut ids: Vec<u32> = Vec::new();
    while ids.len() < 500 {
        let mut logits: Vec<f32> = (0..ROWS).map(|_| random.random()).collect();
        for (id, logit) in (0..).zip(&mut logits).filter(|_| ids.len() > 20) {
            *logit += if ends.contains(&id) {
                2.0
            } else if closes(id) {
                1.0
            } else {
                0.0
            };
        }
        constraint.mask(&mut logits).unwrap();
        let id = crate::sampler::argmax(&logits).unwrap();
        let may_end = constraint.may_end().unwrap();
        constraint.commit(id).unwrap();
        if ends.contains(&id) {
            assert!(may_end);
            return (ids, true);
        }
        ids.push(id);
        if constraint.is_finished() {
            return (ids, true);
        }
    }
    (ids, false)
}

fn random_text(grammar: &Grammar, seed: u64) -> (String, bool) {
    let (ids, whole) = random_answer(&mut Constraint::new(grammar, &[]), seed);
    let bytes: Vec<u8> = ids.iter().flat_map(|&id| MODEL.tokenizer.token_bytes(id).unwrap()).copied().collect();
    (String::from_utf8_lossy(&bytes).into_owned(), whole)
}

/// Whether `text` is a possible whole answer, in tokens of single characters.
fn accepts(grammar: &Grammar, text: &str) -> bool {
    let mut constraint = Constraint::new(grammar, &[]);
    let ids = MODEL.tokenizer.encode_with_special(text).unwrap();
    ids.iter().all(|&id| !constraint.is_finished() && constraint.commit(id).is_ok()) && constraint.may_end().unwrap()
}

fn schema(schema: Value) -> Result<Grammar, GrammarError> {
    MODEL.compiler.json_schema(&schema, true)
}

fn message(result: Result<Grammar, GrammarError>) -> String {
    result.unwrap_err().to_string()
}
