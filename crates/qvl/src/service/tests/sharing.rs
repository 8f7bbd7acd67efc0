//! What jobs share, the work for equal beginnings, the memory and the engine's time, and what is their own.

use std::sync::Arc;
use std::sync::mpsc::channel;

use qvl_processor::Part;

use super::*;
use crate::answer::FinishReason;
use crate::grammar::GrammarCompiler;
use crate::media::read_image;
use crate::pipeline::Pipeline;
use crate::test_engine::reference;

#[test]
fn equal_prompts_that_come_at_once_are_computed_once() {
    let (service, watch) = start(ServiceOptions::default());
    let media = [read_image(&reference("images/photo_100x100.png")).unwrap()];
    let content = vec![Part::Image(0), Part::Text("What is in this image?".to_owned())];
    let messages = [Message::new(Role::User, content)];
    let prompt = service.processor().prepare(&messages, &media, &PromptOptions::default()).unwrap();
    let halt = watch.halt();
    let asked: Vec<Asked> = (0..5).map(|_| ask(&service, prompt.clone())).collect();
    drop(halt);
    let tokens = prompt.token_ids.len();
    let ends: Vec<_> = asked.iter().map(Asked::end).collect();
    let cached: Vec<_> = ends.iter().map(|(_, cached, _)| cached.unwrap()).collect();
    assert_eq!(cached, [0, tokens - 1, tokens - 1, tokens - 1, tokens - 1]);
    let answers: Vec<_> = ends.into_iter().map(|(answer, ..)| answer.unwrap().token_ids).collect();
    assert!(answers.iter().all(|answer| answer.len() == TOKENS && *answer == answers[0]));
    let work = watch.take();
    assert_eq!((work.pictures, work.prefilled, work.opened), (1, tokens + 4, 5));
    let statistics = service.statistics();
    assert_eq!((statistics.prompt_tokens, statistics.cached_tokens), (5 * tokens as u64, 4 * (tokens as u64 - 1)));
    assert_eq!((statistics.pictures_encoded, statistics.generated_tokens), (1, 5 * TOKENS as u64));
    assert!(statistics.largest_batch > 1 && statistics.finished == 5, "{statistics:?}");
}

/// A prompt with a picture after `text`.
fn picture_prompt(service: &Service, text: &str) -> Prompt {
    let media = [read_image(&reference("images/photo_100x100.png")).unwrap()];
    let messages = [Message::new(Role::User, vec![Part::Text(text.to_owned()), Part::Image(0)])];
    service.processor().prepare(&messages, &media, &PromptOptions::default()).unwrap()
}

#[test]
fn an_answer_goes_on_while_a_picture_is_encoded() {
    let (service, watch) = start(ServiceOptions::default());
    let (job, reading) = job(prompt(&service, "One"), GenerationConfig { max_new_tokens: 2000, ..greedy() });
    service.submit(job).unwrap();
    while !matches!(reading.events.recv().unwrap(), Event::Token { .. }) {}
    let halt = watch.halt();
    let picture = ask(&service, picture_prompt(&service, "What is it?"));
    let _ = watch.take_order();
    drop(halt);
    picture.answer();
    reading.cancel.cancel();
    let order = watch.take_order();
    let parts = order.matches('v').count();
    assert!(parts > 1, "{order}");
    assert!(order.contains(&"vd".repeat(parts)), "a step after each part: {order}");
}

#[test]
fn a_picture_is_encoded_once_for_all_who_wait_for_it() {
    let (service, watch) = start(ServiceOptions::default());
    let halt = watch.halt();
    // Their beginnings differ, so that none waits for the other's tokens.
    let texts = ["What is it?", "Is there a cat?"];
    let asked = texts.map(|text| ask(&service, picture_prompt(&service, text)));
    drop(halt);
    asked.iter().for_each(|asked| assert_eq!(asked.answer().token_ids.len(), TOKENS));
    assert_eq!(watch.take().pictures, 1);
    let statistics = service.statistics();
    assert_eq!((statistics.pictures_encoded, statistics.pictures_cached), (1, 1));
}

#[test]
fn the_next_turn_takes_the_kept_sequence_over_and_another_question_copies_it() {
    let (service, watch) = start(ServiceOptions::default());
    let words = "It is about a long walk by the sea. ".repeat(8);
    let first = ask(&service, prompt(&service, &words)).answer();
    let _ = watch.take();
    let mut next = question(&words).to_vec();
    next.extend([Message::text(Role::Assistant, first.text.clone()), Message::text(Role::User, "And?")]);
    let next = service.processor().prepare(&next, &[], &PromptOptions::default()).unwrap();
    let (answer, cached, _) = ask(&service, next).end();
    assert!(answer.is_ok() && cached.unwrap() >= first.usage.prompt_tokens - 1, "{cached:?}");
    assert_eq!((watch.take().opened, service.statistics().kept_sequences), (0, 1));
    let other = format!("{words}Where to?");
    let asked = ask(&service, prompt(&service, &other));
    let (answer, cached, _) = asked.end();
    assert_eq!(answer.unwrap().token_ids, alone(&other).token_ids);
    assert!(cached.unwrap() > 50, "{cached:?}");
    assert_eq!((watch.take().opened, service.statistics().kept_sequences), (1, 2));
}

#[test]
fn memory_for_keys_and_values_is_kept_to() {
    let (service, watch) = start(ServiceOptions { cache_bytes: 0, ..ServiceOptions::default() });
    let halt = watch.halt();
    let asked = ["One", "Two", "Three"].map(|text| ask(&service, prompt(&service, text)));
    drop(halt);
    for (asked, text) in asked.iter().zip(["One", "Two", "Three"]) {
        assert_eq!(asked.answer().token_ids, alone(text).token_ids);
    }
    let statistics = service.statistics();
    assert_eq!((statistics.largest_batch, statistics.kept_sequences), (1, 0), "one at a time, and none is kept");
    assert_eq!((watch.take().closed, service.statistics().cache_bytes), (3, 0));
}

#[test]
fn prompts_take_turns() {
    let (pipeline, watch): (Pipeline, Watch) = pipeline(8);
    let service = Service::start(pipeline, ServiceOptions::default()).unwrap();
    let (sender, ended) = channel();
    let submit = |name: &'static str, text: &str| {
        let (mut job, _) = job(prompt(&service, text), greedy());
        let sender = sender.clone();
        job.on_event = Box::new(move |event| {
            if matches!(event, Event::Finished(_)) {
                sender.send(name).unwrap();
            }
        });
        service.submit(job).unwrap();
    };
    let halt = watch.halt();
    // Fifty pieces, and two with twelve steps.
    submit("long", &"walk ".repeat(400));
    submit("short", "sea");
    drop(halt);
    assert_eq!([ended.recv().unwrap(), ended.recv().unwrap()], ["short", "long"]);
}

#[test]
fn a_grammar_holds_for_its_own_job_and_ends_the_answer() {
    let (service, watch) = start(ServiceOptions::default());
    let ends = &service.generation_config().eos_token_ids;
    let compiler = GrammarCompiler::new(service.processor().tokenizer(), ends).unwrap();
    let choices = ["seventeen".to_owned(), "twenty".to_owned()];
    let halt = watch.halt();
    let (mut chosen, asked) = job(prompt(&service, "How many?"), greedy());
    chosen.grammar = Some(Arc::new(compiler.choice(&choices).unwrap()));
    service.submit(chosen).unwrap();
    let free = ask(&service, prompt(&service, "How many?"));
    drop(halt);
    let answer = asked.answer();
    assert!(choices.contains(&answer.text) && answer.finish_reason == FinishReason::Stop, "{answer:?}");
    assert_eq!(free.answer().token_ids, alone("How many?").token_ids);
}
