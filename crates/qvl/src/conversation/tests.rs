//! What a turn computes anew, seen by an engine that keeps count.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qvl_checkpoint::{Config, Grid};
use qvl_engine::{Engine, EngineError, EngineOptions, Features, Logits, Prefill, SequenceId};
use qvl_export::{ExportOptions, NoProgress, Precision, export};
use qvl_processor::Media;

use super::*;
use crate::media::read_image;

/// What an engine was asked to do since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    pictures: usize,
    prefilled: usize,
    opened: usize,
    closed: usize,
}

/// The real engine, with a count of its work.
struct Counting {
    inner: Box<dyn Engine>,
    work: Arc<Mutex<Work>>,
    /// The token that shall be the first of an answer.
    forced: Arc<Mutex<Option<u32>>>,
}

impl Engine for Counting {
    fn config(&self) -> &Config {
        self.inner.config()
    }

    fn load_time(&self) -> Duration {
        self.inner.load_time()
    }

    fn encode(&mut self, pixel_values: &[f32], grids: &[Grid]) -> Result<Features, EngineError> {
        self.work.lock().unwrap().pictures += grids.len();
        self.inner.encode(pixel_values, grids)
    }

    fn open_sequence(&mut self, capacity: usize) -> Result<SequenceId, EngineError> {
        self.work.lock().unwrap().opened += 1;
        self.inner.open_sequence(capacity)
    }

    fn prefill(&mut self, sequence: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError> {
        self.work.lock().unwrap().prefilled += prompt.token_ids.len();
        let mut logits = self.inner.prefill(sequence, prompt)?;
        if let Some(token) = *self.forced.lock().unwrap() {
            let last = logits.data.len() - logits.vocab;
            logits.data[last + token as usize] = 1e6;
        }
        Ok(logits)
    }

    fn decode(&mut self, sequence: SequenceId, token: u32, position: i64) -> Result<Logits, EngineError> {
        self.inner.decode(sequence, token, position)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), EngineError> {
        self.inner.truncate(sequence, len)
    }

    fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.inner.len(sequence)
    }

    fn close_sequence(&mut self, sequence: SequenceId) {
        self.work.lock().unwrap().closed += 1;
        self.inner.close_sequence(sequence);
    }
}

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference").join(path)
}

fn pipeline(prefill_chunk: usize) -> (Pipeline, Arc<Mutex<Work>>) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = ExportOptions::new(directory.path().join("package"));
    options.precision = Precision::Fp32;
    export(&reference("tiny/dense-tied"), &options, &NoProgress).unwrap();
    qvl_engine::runtime::locate_or_install().unwrap();
    let engine = EngineOptions { prefill_chunk, ..EngineOptions::default() };
    let mut pipeline = Pipeline::open(&options.output, &engine).unwrap();
    // The vision graph is opened with the first picture, and so while its files are there.
    pipeline.engine.encode(&vec![0.0; 4 * 1536], &[Grid { t: 1, h: 2, w: 2 }]).unwrap();
    let work = Arc::new(Mutex::new(Work::default()));
    let inner = pipeline.engine;
    pipeline.engine = Box::new(Counting { inner, work: Arc::clone(&work), forced: Arc::default() });
    (pipeline, work)
}

fn picture(name: &str) -> Content {
    Content::Media(read_image(&reference("images").join(name)).unwrap())
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn greedy() -> GenerationConfig {
    GenerationConfig { max_new_tokens: 12, ignore_eos: true, ..GenerationConfig::default() }
}

fn ask(conversation: &mut Conversation<'_>, content: Vec<Content>) -> Answer {
    conversation.ask(content, &greedy(), &CancelFlag::default(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// The same messages, answered without anything cached.
fn afresh(conversation: &Conversation<'_>) -> Vec<u32> {
    let (mut pipeline, _) = pipeline(512);
    let messages = &conversation.messages()[..conversation.messages().len() - 1];
    let request = Request {
        messages,
        media: &conversation.media,
        prompt: &conversation.prompt_options,
        generation: &greedy(),
        cancel: &CancelFlag::default(),
    };
    pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().token_ids
}

#[test]
fn a_turn_computes_only_what_is_new() {
    let (mut pipeline, work) = pipeline(512);
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is in this image?")]);
    let prompt = first.usage.prompt_tokens;
    let expected = Work { pictures: 1, prefilled: prompt, opened: 1, closed: 0 };
    assert_eq!(std::mem::take(&mut *work.lock().unwrap()), expected);

    let second = ask(&mut conversation, vec![text("And in this one?"), picture("small_20x30.png")]);
    assert_eq!(second.token_ids, afresh(&conversation));
    let done = std::mem::take(&mut *work.lock().unwrap());
    assert_eq!((done.pictures, done.opened), (1, 0));
    // At least the first prompt was not computed again.
    assert!(done.prefilled <= second.usage.prompt_tokens - prompt, "{done:?} of {}", second.usage.prompt_tokens);

    drop(conversation);
    assert_eq!(work.lock().unwrap().closed, 1);
}

#[test]
fn another_picture_in_the_same_place_is_computed_anew() {
    let (mut pipeline, work) = pipeline(512);
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![picture("noise_224x224.png"), text("What?")]);
    let Content::Media(other) = picture("exact_256x256.png") else { unreachable!() };
    conversation.reset();
    let _ = std::mem::take(&mut *work.lock().unwrap());
    let second = ask(&mut conversation, vec![Content::Media(other), text("What?")]);
    assert_eq!(first.prompt_token_ids, second.prompt_token_ids, "the test needs two pictures of one grid");
    assert_eq!(second.token_ids, afresh(&conversation));
    assert_ne!(second.token_ids, first.token_ids);
    let done = work.lock().unwrap();
    assert_eq!(done.pictures, 1);
    assert!(done.prefilled > 64, "{done:?}");
}

#[test]
fn a_picture_is_encoded_once_and_its_features_outlive_the_turns() {
    let (mut pipeline, work) = pipeline(512);
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is this?")]);
    conversation.reset();
    conversation.set_system("Be brief.");
    let second = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is this?")]);
    assert_eq!(second.token_ids, afresh(&conversation));
    assert_ne!(first.prompt_token_ids, second.prompt_token_ids);
    assert_eq!(work.lock().unwrap().pictures, 1);
}

#[test]
fn a_generated_placeholder_is_a_token_without_a_picture() {
    let (mut pipeline, work) = pipeline(512);
    let placeholder = pipeline.config().image_token_id;
    let forced = Arc::new(Mutex::new(Some(placeholder)));
    let inner = pipeline.engine;
    pipeline.engine = Box::new(Counting { inner, work, forced: Arc::clone(&forced) });
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![text("Draw something.")]);
    assert_eq!((first.token_ids[0], first.token_ids.len()), (placeholder, 12));
    assert!(!first.text.contains("image_pad"));
    *forced.lock().unwrap() = None;
    let second = ask(&mut conversation, vec![picture("photo_100x100.png"), text("Like this?")]);
    assert_eq!(second.token_ids, afresh(&conversation));
}

#[test]
fn a_turn_that_was_cancelled_before_its_answer_is_forgotten() {
    let (mut pipeline, _) = pipeline(512);
    let mut conversation = pipeline.conversation();
    let cancel = CancelFlag::default();
    cancel.cancel();
    let content = vec![picture("photo_100x100.png"), text("What is this?")];
    let answer = conversation.ask(content, &greedy(), &cancel, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(answer.token_ids.is_empty());
    assert!(conversation.messages().is_empty() && conversation.media.is_empty());
    let next = ask(&mut conversation, vec![text("Hello")]);
    assert_eq!(next.token_ids, afresh(&conversation));
}

#[test]
fn the_same_question_again_prefills_one_token() {
    let (mut pipeline, work) = pipeline(512);
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is this?")]);
    conversation.reset();
    let _ = std::mem::take(&mut *work.lock().unwrap());
    let second = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is this?")]);
    assert_eq!(first.token_ids, second.token_ids);
    assert_eq!(*work.lock().unwrap(), Work { prefilled: 1, ..Work::default() });
}

#[test]
fn chunks_of_the_prompt_that_cut_a_picture_change_nothing() {
    let content = || vec![picture("photo_100x100.png"), text("and"), picture("small_20x30.png"), text("differ how?")];
    let (mut whole, _) = pipeline(512);
    let expected = ask(&mut whole.conversation(), content());
    for chunk in [1, 7, 64] {
        let (mut chunked, _) = pipeline(chunk);
        let answer = ask(&mut chunked.conversation(), content());
        assert_eq!(answer.token_ids, expected.token_ids, "chunks of {chunk}");
    }
}

#[test]
fn an_error_leaves_the_conversation_as_it_was() {
    let (mut pipeline, _) = pipeline(512);
    let mut conversation = pipeline.conversation();
    conversation.set_system("Be brief.");
    ask(&mut conversation, vec![text("Hello")]);
    let messages = conversation.messages().to_vec();
    let thin = qvl_processor::Rgb8::new(1, 1000, vec![0; 3000]).unwrap();
    let error = conversation.ask(
        vec![Content::Media(Media::Image(thin)), text("What?")],
        &greedy(),
        &CancelFlag::default(),
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(matches!(error, Err(Error::Processor(_))));
    assert_eq!(conversation.messages(), messages);
    assert!(conversation.media.is_empty());
    let next = ask(&mut conversation, vec![text("And now?")]);
    assert_eq!(next.token_ids, afresh(&conversation));
}
