//! Sixteen jobs at once on the demo model: pictures and texts, greedy and seeded, with shared beginnings, some cancelled.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use common::TinyPackage;
use qvl::eval::{MediaFile, Question, read_media, read_questions};
use qvl::service::{Event, Job, Service, ServiceOptions};
use qvl::{
    Answer, CancelFlag, EngineOptions, FinishReason, GenerationConfig, Media, Message, Pipeline, PromptOptions,
    Request, Role,
};
use qvl_export::Precision;

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(path)
}

/// What one client wants.
struct Client {
    messages: Vec<Message>,
    media: Vec<Media>,
    settings: GenerationConfig,
    /// It leaves after so many tokens.
    patience: usize,
}

/// Four clients with `question`: greedy, twice with a seed, and one that leaves.
fn clients(messages: &[Message], media: &[Media], defaults: &GenerationConfig) -> Vec<Client> {
    let client = |seed: Option<u64>, patience: usize| {
        let mut settings = GenerationConfig { max_new_tokens: 40, ignore_eos: true, ..defaults.clone() };
        settings.sampling.do_sample = seed.is_some();
        settings.sampling.temperature = 1.3;
        settings.sampling.seed = seed;
        Client { messages: messages.to_vec(), media: media.to_vec(), settings, patience }
    };
    vec![client(None, 99), client(Some(1), 99), client(Some(2), 99), client(None, 5)]
}

fn sixteen(defaults: &GenerationConfig) -> Vec<Client> {
    let questions = read_questions(&demo("heldout/questions.jsonl")).unwrap();
    let is_picture = |question: &&Question| matches!(question.media[..], [MediaFile::Image(_)]);
    let pictures: Vec<_> = questions.iter().filter(is_picture).step_by(20).take(2).collect();
    let text = Message::text(Role::User, "A red circle is left of a blue square. Where is the circle?");
    let begun = [text.clone(), Message::text(Role::Assistant, "left"), Message::text(Role::User, "And the square?")];
    let mut all: Vec<Client> = Vec::new();
    for question in pictures {
        all.extend(clients(&question.messages, &read_media(question).unwrap(), defaults));
    }
    all.extend(clients(&[text], &[], defaults));
    all.extend(clients(&begun, &[], defaults));
    all
}

fn alone(pipeline: &mut Pipeline, client: &Client) -> Answer {
    let request = Request {
        messages: &client.messages,
        media: &client.media,
        prompt: &PromptOptions::default(),
        generation: &client.settings,
        cancel: &CancelFlag::default(),
    };
    pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn submit(service: &Service, client: &Client) -> Receiver<Event> {
    let (sender, events) = channel();
    let cancel = CancelFlag::default();
    let leaves = cancel.clone();
    let mut patience = client.patience;
    let on_event = move |event: Event| {
        patience -= usize::from(matches!(event, Event::Token { .. }));
        if patience == 0 {
            leaves.cancel();
        }
        sender.send(event).unwrap_or_default();
    };
    let prompt = service.processor().prepare(&client.messages, &client.media, &PromptOptions::default()).unwrap();
    let generation = client.settings.clone();
    let on_event = Box::new(on_event);
    service.submit(Job { prompt, generation, logprobs: Some(2), grammar: None, cancel, on_event }).unwrap();
    events
}

/// Checks the events and returns the answer.
fn answer(events: &Receiver<Event>) -> Answer {
    let (mut tokens, mut text) = (Vec::new(), String::new());
    loop {
        match events.recv().unwrap() {
            Event::Started { .. } => assert!(tokens.is_empty()),
            Event::Token { id, text: piece, logprobs } => {
                let logprobs = logprobs.unwrap();
                assert_eq!((logprobs.id, logprobs.top.len()), (id, 2));
                assert!(logprobs.logprob <= logprobs.top[0].1 && logprobs.top[0].1 <= 0.0);
                tokens.push(id);
                text.push_str(&piece);
            }
            Event::Finished(answer) => {
                assert_eq!(answer.token_ids, tokens);
                assert!(answer.text.starts_with(&text));
                return answer;
            }
            Event::Failed(error) => panic!("{error}"),
        }
    }
}

fn check(precision: Precision) {
    let package = TinyPackage::export_from(&demo("model"), precision);
    let mut pipeline = package.open();
    let clients = sixteen(&pipeline.generation_config().clone());
    let expected: Vec<Answer> = clients.iter().map(|client| alone(&mut pipeline, client)).collect();
    let options = EngineOptions { prefill_chunk: 50, ..EngineOptions::default() };
    let service =
        Service::start(Pipeline::open(&package.path(), &options).unwrap(), ServiceOptions::default()).unwrap();
    let asked: Vec<_> = clients.iter().map(|client| submit(&service, client)).collect();
    for ((events, client), expected) in asked.iter().zip(&clients).zip(&expected) {
        let answer = answer(events);
        assert_eq!(answer.prompt_token_ids, expected.prompt_token_ids);
        if client.patience > 40 {
            assert_eq!((answer.token_ids, answer.text), (expected.token_ids.clone(), expected.text.clone()));
            assert_eq!(answer.finish_reason, FinishReason::Length);
        } else {
            assert_eq!(answer.finish_reason, FinishReason::Cancelled);
            assert_eq!(answer.token_ids, expected.token_ids[..client.patience]);
        }
    }
    let statistics = service.statistics();
    assert_eq!((statistics.finished, statistics.cancelled, statistics.failed), (12, 4, 0));
    assert_eq!(statistics.pictures_encoded, 2, "each picture once");
    assert_eq!(statistics.generated_tokens, 12 * 40 + 4 * 5);
    assert!(statistics.largest_batch > 4, "{statistics:?}");
    // Of each four equal prompts the first is computed.
    let prompts: usize = expected.iter().map(|answer| answer.usage.prompt_tokens).sum();
    assert_eq!(statistics.prompt_tokens, prompts as u64);
    assert!(statistics.prompt_tokens - statistics.cached_tokens < prompts as u64 / 3, "{statistics:?}");
    service.stop();
}

#[test]
fn answers_are_those_of_the_model_alone() {
    check(Precision::Fp32);
}

#[test]
fn answers_of_4_bits_are_those_of_the_model_alone() {
    check(Precision::Int4);
}
