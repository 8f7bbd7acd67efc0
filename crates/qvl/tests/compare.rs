//! Two packages of one model, compared.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use common::{TinyPackage, reference};
use qvl::compare::{CompareError, CompareOptions, Comparison, Models, Summary, check_packages};
use qvl::eval::{MediaFile, Metric, Question};
use qvl::media::read_image;
use qvl::{
    CancelFlag, EngineOptions, GenerationConfig, Message, PackageDir, Part, Pipeline, PromptOptions, Request, Role,
    Sampling,
};
use qvl_export::Precision;
use serde_json::Value;

fn question(task: &str, picture: Option<&str>, text: &str) -> Question {
    let mut parts = vec![Part::Text(text.to_owned())];
    parts.extend(picture.map(|_| Part::Image(0)));
    Question {
        id: text.to_owned(),
        task: task.to_owned(),
        messages: vec![Message::new(Role::User, parts)],
        media: picture.into_iter().map(|name| MediaFile::Image(reference("images").join(name))).collect(),
        answer: "A red circle.".to_owned(),
        metric: Metric::Words,
    }
}

fn questions() -> Vec<Question> {
    let picture = Some("noise_224x224.png");
    vec![
        question("talk", None, "Who are you?"),
        question("look", picture, "What is this?"),
        question("look", picture, "What colour is it?"),
    ]
}

fn load(reference: &Path, candidate: &Path) -> Result<Models, CompareError> {
    qvl::runtime::locate_or_install().unwrap();
    let open = |path: &Path| PackageDir::open(path).unwrap();
    Models::load(&open(reference), &open(candidate), &EngineOptions::default())
}

fn compare(reference: &TinyPackage, candidate: &TinyPackage) -> Comparison {
    let mut models = load(&reference.path(), &candidate.path()).unwrap();
    let options = CompareOptions { max_new_tokens: 24, ..CompareOptions::default() };
    let mut comparison = Comparison::default();
    for question in questions() {
        let compared = models.compare(&question, &options, &CancelFlag::default()).unwrap();
        comparison.add(compared.unwrap());
    }
    comparison
}

fn check_groups(comparison: &Comparison) -> Summary {
    let all = comparison.overall().unwrap();
    assert_eq!(all.questions, 3);
    let (text, visual) = (comparison.of_kind(false).unwrap(), comparison.of_kind(true).unwrap());
    assert_eq!((text.questions, visual.questions, text.tokens + visual.tokens), (1, 2, all.tokens));
    assert_eq!(comparison.by_task(), [("talk".to_owned(), text), ("look".to_owned(), visual)]);
    let positions = comparison.by_position();
    assert_eq!(positions.iter().map(|position| position.answers).sum::<usize>(), all.tokens);
    let vision = comparison.vision().unwrap();
    // Both pictures are the same one, of 224 by 224 pixels: 7 by 7 merged patches, or 8 by 8 by the least area.
    assert_eq!((vision.pictures, vision.blocks.len()), (1, 4));
    assert!([49, 64].contains(&vision.tokens), "{} tokens", vision.tokens);
    all
}

#[test]
fn a_package_is_equal_to_itself() {
    let package = TinyPackage::export("dense-tied");
    let comparison = compare(&package, &package);
    let all = check_groups(&comparison);
    assert_eq!((all.kl.mean, all.kl.median, all.kl.p99), (0.0, 0.0, 0.0));
    assert_eq!((all.top1_percent, all.greedy.percent, all.greedy.identical_percent), (100.0, 100.0, 100.0));
    assert_eq!(all.perplexity.reference, all.perplexity.candidate);
    assert!(all.perplexity.reference > 1.0 && all.perplexity.reference.is_finite());
    let given = all.given_answers.unwrap();
    assert_eq!(given.perplexity.reference, given.perplexity.candidate);
    assert!(given.perplexity.reference > all.perplexity.reference, "the model would rather say its own");
    assert_eq!(all.endless_percent.reference, all.endless_percent.candidate);
    for block in comparison.vision().unwrap().blocks {
        let error = block.error;
        assert_eq!((error.cosine_min, error.cosine_mean, error.relative_error_max), (1.0, 1.0, 0.0), "{}", block.name);
    }
}

#[test]
fn int4_loses_something_but_not_everything() {
    let (reference, candidate) =
        (TinyPackage::export("dense-tied"), TinyPackage::export_as("dense-tied", Precision::Int4));
    let comparison = compare(&reference, &candidate);
    let all = check_groups(&comparison);
    assert!(all.kl.mean > 1e-6 && all.kl.mean < 5.0, "{:?}", all.kl);
    assert!(all.kl.median <= all.kl.p99);
    assert!(all.top1_percent > 10.0 && all.greedy.percent <= 100.0);
    assert!(all.perplexity.candidate > all.perplexity.reference, "{:?}", all.perplexity);
    // The vision encoder of an int4 package is in half precision.
    for block in comparison.vision().unwrap().blocks {
        let error = block.error;
        assert!(error.cosine_min > 0.99 && error.cosine_min <= error.cosine_mean, "{}: {error:?}", block.name);
        assert!(error.relative_error_mean > 0.0 && error.relative_error_mean <= error.relative_error_max);
        assert!(error.relative_error_max < 0.05, "{}: {error:?}", block.name);
    }
    // A candidate that parts from the reference is not compared beyond its own logits: the other way round, the
    // divergence is that of the other's answers.
    let turned = compare(&candidate, &reference).overall().unwrap();
    assert!(turned.kl.mean > 1e-6 && turned.kl.mean != all.kl.mean);
}

/// Log-softmax rows along `continuation`, and the greedy answer, by the public face of a pipeline.
fn by_pipeline(pipeline: &mut Pipeline, question: &Question, continuation: &[u32]) -> (Vec<Vec<f64>>, Vec<u32>) {
    let media: Vec<_> = question
        .media
        .iter()
        .map(|file| match file {
            MediaFile::Image(path) | MediaFile::Video(path) => read_image(path).unwrap(),
        })
        .collect();
    let generation =
        GenerationConfig { sampling: Sampling::default(), max_new_tokens: 24, ..pipeline.generation_config().clone() };
    let request = Request {
        messages: &question.messages,
        media: &media,
        prompt: &PromptOptions::default(),
        generation: &generation,
        cancel: &CancelFlag::default(),
    };
    let mut rows = Vec::new();
    let mut on_logits = |_: usize, logits: &[f32]| {
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        rows.push(logits.iter().map(|&logit| f64::from(logit) - sum.ln()).collect());
        ControlFlow::Continue(())
    };
    pipeline.forced_logits(&request, continuation, &mut on_logits).unwrap();
    let answer = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    (rows, answer.token_ids)
}

/// exp of the mean surprise of `tokens`.
fn perplexity(rows: &[Vec<f64>], tokens: &[u32]) -> f64 {
    let surprise: f64 = rows.iter().zip(tokens).map(|(row, &token)| -row[token as usize]).sum();
    (surprise / tokens.len() as f64).exp()
}

#[test]
fn figures_are_those_of_both_models_alone() {
    let packages = [TinyPackage::export("dense-tied"), TinyPackage::export_as("dense-tied", Precision::Int4)];
    let mut models = load(&packages[0].path(), &packages[1].path()).unwrap();
    let [mut reference, mut candidate] = [packages[0].open(), packages[1].open()];
    let near = |found: f64, expected: f64| assert!((found - expected).abs() <= 1e-6 * expected, "{found} {expected}");
    for question in questions() {
        let options = CompareOptions { max_new_tokens: 24, ..CompareOptions::default() };
        let mut comparison = Comparison::default();
        comparison.add(models.compare(&question, &options, &CancelFlag::default()).unwrap().unwrap());
        let found = comparison.overall().unwrap();

        let (_, answer) = by_pipeline(&mut reference, &question, &[]);
        let (ours, _) = by_pipeline(&mut reference, &question, &answer);
        let (theirs, own) = by_pipeline(&mut candidate, &question, &answer);
        let divergence = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
        let kl: f64 = ours.iter().zip(&theirs).take(answer.len()).map(|(p, q)| divergence(p, q)).sum();
        near(found.kl.mean, kl / answer.len() as f64);
        near(found.perplexity.reference, perplexity(&ours, &answer));
        near(found.perplexity.candidate, perplexity(&theirs, &answer));
        let agreed = answer.iter().zip(&own).take_while(|(a, b)| a == b).count();
        assert_eq!((found.tokens, found.greedy.tokens), (answer.len(), agreed as f64));

        let mut given = reference.processor().tokenizer().encode_plain(&question.answer).unwrap();
        given.push(reference.generation_config().eos_token_ids[0]);
        let expected = [&mut reference, &mut candidate]
            .map(|pipeline| perplexity(&by_pipeline(pipeline, &question, &given).0, &given));
        let found = found.given_answers.unwrap();
        assert_eq!(found.tokens, given.len());
        near(found.perplexity.reference, expected[0]);
        near(found.perplexity.candidate, expected[1]);
    }
}

#[test]
fn other_models_are_refused() {
    let (tied, moe) = (TinyPackage::export("dense-tied"), TinyPackage::export("moe"));
    let error = load(&tied.path(), &moe.path()).err().unwrap();
    assert!(matches!(error, CompareError::Different { file: "config.json", .. }), "{error}");

    let other = TinyPackage::export("dense-tied");
    let tokenizer = other.path().join("tokenizer.json");
    let text = fs::read_to_string(&tokenizer).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let open = |package: &TinyPackage| PackageDir::open(package.path()).unwrap();
    let write = |file: &Value| {
        // The size is part of the manifest.
        let mut compact = file.to_string();
        compact.push_str(&" ".repeat(text.len() - compact.len()));
        fs::write(&tokenizer, compact).unwrap();
    };
    write(&file);
    check_packages(&open(&tied), &open(&other)).unwrap();
    let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
    let (first, second) = (vocabulary["a"].clone(), vocabulary["b"].clone());
    vocabulary.extend([("a".to_owned(), second.clone()), ("b".to_owned(), first.clone())]);
    write(&file);
    let text = check_packages(&open(&tied), &open(&other)).unwrap_err().to_string();
    let place =
        format!("tokenizer.json differs at `model.vocab.a` ({first} in the reference, {second} in the candidate)");
    assert!(text.contains(&place) && text.contains("made from one checkpoint"), "{text}");
}

#[test]
fn a_cancelled_question_does_not_count_and_a_broken_picture_is_an_error() {
    let package = TinyPackage::export("dense-tied");
    let mut models = load(&package.path(), &package.path()).unwrap();
    let (options, cancel) = (CompareOptions::default(), CancelFlag::default());
    cancel.cancel();
    assert!(models.compare(&questions()[0], &options, &cancel).unwrap().is_none());
    let missing = question("look", Some("missing.png"), "What is this?");
    let error = models.compare(&missing, &options, &CancelFlag::default()).unwrap_err();
    assert!(matches!(error, CompareError::Question(_)) && error.to_string().contains("missing.png"), "{error}");
}
