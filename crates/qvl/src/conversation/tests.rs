//! What a turn computes anew, seen by an engine that keeps count.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::ops::ControlFlow;

use qvl_processor::Media;

use super::*;
use crate::media::read_image;
use crate::test_engine::{Controls, Work, pipeline, reference};

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
    assert_eq!(work.take(), expected);

    let second = ask(&mut conversation, vec![text("And in this one?"), picture("small_20x30.png")]);
    assert_eq!(second.token_ids, afresh(&conversation));
    let done = work.take();
    assert_eq!((done.pictures, done.opened), (1, 0));
    // At least the first prompt was not computed again.
    assert!(done.prefilled <= second.usage.prompt_tokens - prompt, "{done:?} of {}", second.usage.prompt_tokens);

    drop(conversation);
    assert_eq!(work.take().closed, 1);
}

#[test]
fn another_picture_in_the_same_place_is_computed_anew() {
    let (mut pipeline, work) = pipeline(512);
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![picture("noise_224x224.png"), text("What?")]);
    let Content::Media(other) = picture("exact_256x256.png") else { unreachable!() };
    conversation.reset();
    let _ = work.take();
    let second = ask(&mut conversation, vec![Content::Media(other), text("What?")]);
    assert_eq!(first.prompt_token_ids, second.prompt_token_ids, "the test needs two pictures of one grid");
    assert_eq!(second.token_ids, afresh(&conversation));
    assert_ne!(second.token_ids, first.token_ids);
    let done = work.take();
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
    assert_eq!(work.take().pictures, 1);
}

#[test]
fn a_generated_placeholder_is_a_token_without_a_picture() {
    let (mut pipeline, controls) = pipeline(512);
    let placeholder = pipeline.config().image_token_id;
    controls.set(Controls { first_token: Some(placeholder), ..Controls::default() });
    let mut conversation = pipeline.conversation();
    let first = ask(&mut conversation, vec![text("Draw something.")]);
    assert_eq!((first.token_ids[0], first.token_ids.len()), (placeholder, 12));
    assert!(!first.text.contains("image_pad"));
    controls.set(Controls::default());
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
    let _ = work.take();
    let second = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is this?")]);
    assert_eq!(first.token_ids, second.token_ids);
    assert_eq!(work.take(), Work { prefilled: 1, ..Work::default() });
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

#[test]
fn a_turn_that_was_taken_back_leaves_the_one_before_in_the_cache() {
    let (mut pipeline, work) = pipeline(512);
    let mut conversation = pipeline.conversation();
    assert!(!conversation.undo());
    conversation.set_system("Be brief.");
    let first = ask(&mut conversation, vec![picture("photo_100x100.png"), text("What is this?")]);
    let messages = conversation.messages().to_vec();
    ask(&mut conversation, vec![picture("small_20x30.png"), text("And this?")]);
    assert!(conversation.undo());
    assert_eq!((conversation.messages(), conversation.media.len()), (&messages[..], 1));
    let _ = work.take();
    let second = ask(&mut conversation, vec![text("Where is it?")]);
    assert_eq!(second.token_ids, afresh(&conversation));
    let done = work.take();
    assert!(done.pictures == 0 && done.prefilled <= second.usage.prompt_tokens - first.usage.prompt_tokens, "{done:?}");
    assert!(conversation.undo() && conversation.undo() && !conversation.undo());
    assert_eq!((conversation.messages().len(), conversation.media.len()), (1, 0));
}
