//! The table for people.

use qvl::compare::{FeatureBlock, Summary, VisionSummary};

use super::report::Report;
use crate::commands::lines::lines;

/// All groups and measures, a block of lines for each kind of measure.
pub fn table(report: &Report) -> String {
    let groups = report.groups();
    let mut blocks = Vec::new();
    if !groups.is_empty() {
        blocks.push(next_token(&groups));
        blocks.push(perplexity(&groups));
        blocks.push(greedy_answers(&groups));
    }
    blocks.extend(report.vision.as_ref().map(vision));
    let mut text = blocks.join("\n");
    if !report.complete {
        text.push_str("(stopped: not all questions were compared)\n");
    }
    text
}

type Groups<'a> = [(String, &'a Summary)];

fn next_token(groups: &Groups<'_>) -> String {
    let header = ["next token", "questions", "tokens", "KL mean", "median", "p99", "top-1 %"];
    let row = |group: &Summary| {
        let kl = group.kl;
        let counts = [group.questions.to_string(), group.tokens.to_string()];
        let figures = [figure(kl.mean), figure(kl.median), figure(kl.p99), percent(group.top1_percent)];
        counts.into_iter().chain(figures).collect()
    };
    aligned(&header, groups, row)
}

fn perplexity(groups: &Groups<'_>) -> String {
    let header = ["perplexity", "greedy: reference", "candidate", "given: reference", "candidate"];
    let row = |group: &Summary| {
        let given = group.given_answers.map(|given| given.perplexity);
        let given = given.map_or_else(Default::default, |given| [figure(given.reference), figure(given.candidate)]);
        let greedy = [figure(group.perplexity.reference), figure(group.perplexity.candidate)];
        greedy.into_iter().chain(given).collect()
    };
    aligned(&header, groups, row)
}

fn greedy_answers(groups: &Groups<'_>) -> String {
    let header = ["greedy answers", "agree: tokens", "agree %", "identical %", "endless %: reference", "candidate"];
    let row = |group: &Summary| {
        let (greedy, endless) = (group.greedy, group.endless_percent);
        let shares = [greedy.percent, greedy.identical_percent, endless.reference, endless.candidate].map(percent);
        [format!("{:.1}", greedy.tokens)].into_iter().chain(shares).collect()
    };
    aligned(&header, groups, row)
}

fn vision(vision: &VisionSummary) -> String {
    let header = ["vision features", "cosine mean", "min", "relative error mean", "max"];
    let row = |block: &FeatureBlock| {
        let error = block.error;
        let row = [
            block.name.clone(),
            format!("{:.6}", error.cosine_mean),
            format!("{:.6}", error.cosine_min),
            figure(error.relative_error_mean),
            figure(error.relative_error_max),
        ];
        row.to_vec()
    };
    let text = lines(&header, vision.blocks.iter().map(row).collect());
    format!("{text}({} tokens of {} pictures and videos)\n", vision.tokens, vision.pictures)
}

fn aligned(header: &[&str], groups: &Groups<'_>, row: impl Fn(&Summary) -> Vec<String>) -> String {
    let rows = groups.iter().map(|(name, summary)| [vec![name.clone()], row(summary)].concat());
    lines(header, rows.collect())
}

/// Three or four digits, whatever the magnitude.
fn figure(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        0.001..1.0 => format!("{value:.4}"),
        1.0..100.0 => format!("{value:.3}"),
        100.0..100_000.0 => format!("{value:.1}"),
        _ => format!("{value:.2e}"),
    }
}

fn percent(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_digits() {
        let figures = [0.0, 0.000_012_34, 0.001_234, 0.12345, 1.0, 99.9996, 12345.67, 1e7].map(figure);
        assert_eq!(figures, ["0", "1.23e-5", "0.0012", "0.1235", "1.000", "100.000", "12345.7", "1.00e7"]);
    }
}
