//! How jobs end that are not answered, and the service itself.

use super::*;
use crate::answer::FinishReason;
use crate::test_engine::Controls;

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
    assert!(service.has_ended());
    let (job, _) = job(prompt(&service, "And now?"), greedy());
    assert!(matches!(service.submit(job), Err(SubmitError::Stopping)));
}
