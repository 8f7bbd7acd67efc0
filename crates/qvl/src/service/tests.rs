//! The thread's loop, seen by an engine that counts, halts and fails.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use qvl_processor::{Message, Part, Prompt, PromptOptions, Role};

use super::*;
use crate::answer::{Answer, FinishReason};
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::grammar::GrammarCompiler;
use crate::media::read_image;
use crate::pipeline::{Pipeline, Request};
use crate::test_engine::{Controls, Watch, pipeline, reference};

const TOKENS: usize = 12;

fn greedy() -> GenerationConfig {
    GenerationConfig { max_new_tokens: TOKENS, ignore_eos: true, ..GenerationConfig::default() }
}

fn question(text: &str) -> [Message; 1] {
    [Message::text(Role::User, text)]
}

fn prompt(service: &Service, text: &str) -> Prompt {
    service.processor().prepare(&question(text), &[], &PromptOptions::default()).unwrap()
}

fn alone(text: &str) -> Answer {
    let (mut pipeline, _) = pipeline(512);
    let request = Request {
        messages: &question(text),
        media: &[],
        prompt: &PromptOptions::default(),
        generation: &greedy(),
        cancel: &CancelFlag::default(),
    };
    pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// What becomes of a job.
struct Asked {
    events: Receiver<Event>,
    cancel: CancelFlag,
}

impl Asked {
    /// Waits for the end; returns it with the tokens of the prompt that were cached and the text of the tokens' events.
    fn end(&self) -> (Result<Answer, Error>, Option<usize>, String) {
        let (mut cached, mut text) = (None, String::new());
        loop {
            match self.events.recv().unwrap() {
                Event::Started { cached_tokens } => assert_eq!(cached.replace(cached_tokens), None),
                Event::Token { text: piece, .. } => text.push_str(&piece),
                Event::Finished(answer) => return (Ok(answer), cached, text),
                Event::Failed(error) => return (Err(error), cached, text),
            }
        }
    }

    fn answer(&self) -> Answer {
        let (answer, _, text) = self.end();
        let answer = answer.unwrap();
        assert_eq!(answer.text, text);
        answer
    }
}

fn job(prompt: Prompt, generation: GenerationConfig) -> (Job, Asked) {
    let (sender, events) = channel();
    let cancel = CancelFlag::default();
    let on_event = Box::new(move |event| sender.send(event).unwrap_or_default());
    let job = Job { prompt, generation, logprobs: None, grammar: None, cancel: cancel.clone(), on_event };
    (job, Asked { events, cancel })
}

fn ask(service: &Service, prompt: Prompt) -> Asked {
    let (job, asked) = job(prompt, greedy());
    service.submit(job).unwrap();
    asked
}

fn start(options: ServiceOptions) -> (Service, Watch) {
    let (pipeline, watch) = pipeline(512);
    (Service::start(pipeline, options).unwrap(), watch)
}

fn wait_for(service: &Service, holds: impl Fn(&Statistics) -> bool) {
    while !holds(&service.statistics()) {
        thread::yield_now();
    }
}

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

#[test]
fn who_cannot_be_decoded_fails_alone() {
    let (service, watch) = start(ServiceOptions::default());
    let bad = 7;
    watch.set(Controls { bad_token: Some(bad), ..Controls::default() });
    let halt = watch.halt();
    let texts = ["Who is there?", "Hello", "Tell me of the sea."];
    let good = texts.map(|text| ask(&service, prompt(&service, text)));
    let mut settings = greedy();
    settings.sampling.logit_bias = vec![(bad, 100.0)];
    let (job, guilty) = job(prompt(&service, "Say it."), settings);
    service.submit(job).unwrap();
    drop(halt);
    assert!(matches!(guilty.end().0, Err(Error::Engine(_))));
    for (asked, text) in good.iter().zip(texts) {
        let expected = alone(text);
        assert!(!expected.token_ids.contains(&bad), "the test needs a token that no answer has");
        assert_eq!(asked.answer().token_ids, expected.token_ids, "{text}");
    }
    assert_eq!((service.statistics().failed, service.statistics().finished), (1, 3));
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

#[test]
fn all_are_told_when_the_thread_dies() {
    let (service, watch) = start(ServiceOptions { max_batch: 1, ..ServiceOptions::default() });
    let halt = watch.halt();
    watch.set(Controls { panic: true, ..Controls::default() });
    let asked = ["Who is there?", "Hello"].map(|text| ask(&service, prompt(&service, text)));
    drop(halt);
    for asked in asked {
        assert!(matches!(asked.end().0, Err(Error::ServiceEnded)));
    }
    service.stop();
    let (job, _) = job(prompt(&service, "And now?"), greedy());
    assert!(matches!(service.submit(job), Err(SubmitError::Stopping)));
}

#[test]
fn jobs_beyond_the_queue_are_refused_and_the_others_answered() {
    let (service, watch) = start(ServiceOptions { max_queue: 2, max_batch: 1, ..ServiceOptions::default() });
    let halt = watch.halt();
    let first = ask(&service, prompt(&service, "One"));
    wait_for(&service, |statistics| statistics.running == 1);
    let waiting = ["Two", "Three"].map(|text| ask(&service, prompt(&service, text)));
    let (refused, _) = job(prompt(&service, "Four"), greedy());
    let error = service.submit(refused).unwrap_err();
    assert!(matches!(error, SubmitError::Full { queued: 2 }));
    assert_eq!(error.to_string(), "2 requests are waiting already; try again later");
    drop(halt);
    assert_eq!(first.answer().token_ids, alone("One").token_ids);
    assert_eq!(waiting.map(|asked| asked.answer().finish_reason), [FinishReason::Length; 2]);
    assert_eq!(service.statistics().largest_batch, 1);
}

#[test]
fn jobs_that_can_have_no_answer_are_refused() {
    let (service, _) = start(ServiceOptions::default());
    let submit = |prompt, settings| service.submit(job(prompt, settings).0);
    let wrong = GenerationConfig { max_new_tokens: 0, ..greedy() };
    assert!(matches!(submit(prompt(&service, "Hi"), wrong), Err(SubmitError::Invalid(Error::GenerationConfig(_)))));
    let mut long = prompt(&service, "Hi");
    let context = service.config().text.max_position_embeddings;
    long.token_ids.resize(context, 1);
    assert!(matches!(submit(long, greedy()), Err(SubmitError::Invalid(Error::PromptTooLong { .. }))));
    let mut placeholder = prompt(&service, "Hi");
    placeholder.token_ids[0] = service.config().image_token_id;
    assert!(matches!(submit(placeholder, greedy()), Err(SubmitError::Invalid(Error::Layout(_)))));
    assert_eq!(ask(&service, prompt(&service, "Hi")).answer().token_ids.len(), TOKENS);
}

#[test]
fn a_cancelled_job_frees_its_place_and_keeps_what_it_has() {
    let (service, watch) = start(ServiceOptions { max_batch: 1, ..ServiceOptions::default() });
    let halt = watch.halt();
    let running = ask(&service, prompt(&service, "One"));
    wait_for(&service, |statistics| statistics.running == 1);
    let waiting = ask(&service, prompt(&service, "Two"));
    let last = ask(&service, prompt(&service, "Three"));
    running.cancel.cancel();
    waiting.cancel.cancel();
    drop(halt);
    for cancelled in [running, waiting] {
        let answer = cancelled.end().0.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Cancelled);
        assert!(answer.token_ids.len() < TOKENS);
    }
    assert_eq!(last.answer().token_ids, alone("Three").token_ids);
    assert_eq!((service.statistics().cancelled, service.statistics().finished), (2, 1));
}

#[test]
fn a_stopped_service_finishes_what_it_took() {
    let (service, watch) = start(ServiceOptions { max_batch: 1, ..ServiceOptions::default() });
    let halt = watch.halt();
    let asked = ["One", "Two"].map(|text| ask(&service, prompt(&service, text)));
    let stopping = service.clone();
    let stopped = thread::spawn(move || stopping.stop());
    drop(halt);
    stopped.join().unwrap();
    assert_eq!(asked.map(|asked| asked.answer().finish_reason), [FinishReason::Length; 2]);
    let (job, _) = job(prompt(&service, "Three"), greedy());
    let error = service.submit(job).unwrap_err();
    assert_eq!(error.to_string(), "the service is stopping; it takes no more requests");
    assert_eq!((service.statistics().running, service.statistics().finished), (0, 2));
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
