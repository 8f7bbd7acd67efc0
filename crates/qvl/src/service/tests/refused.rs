//! Jobs that are not taken.

use super::*;
use crate::answer::FinishReason;
use crate::beams::BeamSearch;

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
    let beams = GenerationConfig { beams: Some(BeamSearch::default()), ..greedy() };
    assert!(matches!(submit(prompt(&service, "Hi"), beams), Err(SubmitError::Invalid(Error::GenerationConfig(_)))));
    let mut long = prompt(&service, "Hi");
    let context = service.config().text.max_position_embeddings;
    long.token_ids.resize(context, 1);
    assert!(matches!(submit(long, greedy()), Err(SubmitError::Invalid(Error::PromptTooLong { .. }))));
    let mut placeholder = prompt(&service, "Hi");
    placeholder.token_ids[0] = service.config().image_token_id;
    assert!(matches!(submit(placeholder, greedy()), Err(SubmitError::Invalid(Error::Layout(_)))));
    assert_eq!(ask(&service, prompt(&service, "Hi")).answer().token_ids.len(), TOKENS);
}
