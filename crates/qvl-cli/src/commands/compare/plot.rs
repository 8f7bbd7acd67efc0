//! The drawing of `--plot`: panels below one another.

use std::path::Path;

use qvl::Graph;
use qvl::compare::{MatrixErrors, PositionKl};

use super::axis::{CountAxis, LogAxis};
use super::report::Report;
use super::svg::{Anchor, Pen, Svg};

const WIDTH: f64 = 760.0;
/// Of the plotted area; left of it are labels, right of it is the legend.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 560.0;
const PANEL_HEIGHT: f64 = 190.0;
const TITLE_HEIGHT: f64 = 40.0;
/// Labels of the axis and the space to the next panel.
const FOOT_HEIGHT: f64 = 50.0;
/// Of a line of text.
const LINE_HEIGHT: f64 = 18.0;
/// Where the rows of groups begin, right of their names.
const GROUPS_LEFT: f64 = 200.0;
const GROUP_HEIGHT: f64 = 22.0;
/// Longer names are cut.
const NAME_CHARS: usize = 26;

/// Divergence by place in the answer and by group, and the weights' errors by layer where there are any.
pub fn plot(report: &Report, weights: &[MatrixErrors]) -> String {
    let mut drawing = Drawing { svg: Svg::default(), top: 30.0 };
    let title = format!("{} beside {}", cut(name_of(&report.candidate)), cut(name_of(&report.reference)));
    drawing.svg.text((16.0, 24.0), Anchor::Start, "soft", &title);
    drawing.by_position(report);
    drawing.by_group(report);
    for graph in Graph::ALL {
        let own: Vec<&MatrixErrors> = weights.iter().filter(|matrix| matrix.graph == graph).collect();
        if !own.is_empty() {
            drawing.by_layer(&format!("Weights of the {} graph: relative squared error", graph.name()), &own);
        }
    }
    drawing.svg.finish(WIDTH, drawing.top, &title)
}

struct Drawing {
    svg: Svg,
    /// Where the next panel begins.
    top: f64,
}

/// A line of a panel: name and points by whole number.
type Series<'a> = (&'a str, Vec<(usize, f64)>);

impl Drawing {
    fn by_position(&mut self, report: &Report) {
        let of = |value: fn(&PositionKl) -> f64| {
            report.by_position.iter().map(|position| (position.position, value(position))).collect()
        };
        let series = [("mean", of(|position| position.kl.mean)), ("99th percentile", of(|position| position.kl.p99))];
        self.lines(
            "KL(reference || candidate) in nats, by token of the answer",
            "token of the reference's answer",
            &series,
        );
    }

    fn by_layer(&mut self, title: &str, matrices: &[&MatrixErrors]) {
        let series: Vec<Series<'_>> =
            matrices.iter().map(|matrix| (matrix.matrix.as_str(), matrix.layers.clone())).collect();
        self.lines(title, "layer", &series);
    }

    /// A panel of lines over whole numbers.
    fn lines(&mut self, title: &str, label: &str, series: &[Series<'_>]) {
        let top = self.titled(title);
        let bottom = top + PANEL_HEIGHT.max(series.len() as f64 * LINE_HEIGHT);
        let points = || series.iter().flat_map(|(_, points)| points);
        let numbers = || points().map(|&(number, _)| number);
        let x = CountAxis::new(numbers().min().unwrap_or(0), numbers().max().unwrap_or(0), (LEFT, RIGHT));
        let y = LogAxis::new(points().map(|&(_, value)| value), (bottom, top));
        for (place, label) in y.labels() {
            self.svg.grid((LEFT, place), (RIGHT, place));
            self.svg.text((LEFT - 8.0, place + 4.0), Anchor::End, "soft", &label);
        }
        for (place, number) in x.labels() {
            self.svg.text((place, bottom + 18.0), Anchor::Middle, "soft", &number.to_string());
        }
        self.svg.text((f64::midpoint(LEFT, RIGHT), bottom + 34.0), Anchor::Middle, "soft", label);
        for (index, (name, points)) in series.iter().enumerate() {
            let places: Vec<_> = points.iter().map(|&(number, value)| (x.place(number), y.place(value))).collect();
            self.svg.series(&places, Pen(index));
            self.legend(top + index as f64 * LINE_HEIGHT, Pen(index), name);
        }
        self.top = bottom + FOOT_HEIGHT;
    }

    fn legend(&mut self, y: f64, pen: Pen, name: &str) {
        let x = RIGHT + 16.0;
        self.svg.series(&[(x, y + 8.0), (x + 22.0, y + 8.0)], pen);
        self.svg.text((x + 28.0, y + 12.0), Anchor::Start, "", &cut(name));
    }

    /// A row for each group of questions.
    fn by_group(&mut self, report: &Report) {
        let groups = report.groups();
        let top = self.titled("KL(reference || candidate) in nats, by group of questions");
        let bottom = top + groups.len().max(1) as f64 * GROUP_HEIGHT;
        let values = groups.iter().flat_map(|(_, group)| [group.kl.mean, group.kl.p99]);
        let x = LogAxis::new(values, (GROUPS_LEFT, RIGHT));
        for (place, label) in x.labels() {
            self.svg.grid((place, top), (place, bottom));
            self.svg.text((place, bottom + 18.0), Anchor::Middle, "soft", &label);
        }
        for (index, (name, group)) in groups.iter().enumerate() {
            let y = top + (index as f64 + 0.5) * GROUP_HEIGHT;
            let (mean, p99) = (x.place(group.kl.mean), x.place(group.kl.p99));
            self.svg.text((GROUPS_LEFT - 12.0, y + 4.0), Anchor::End, "", &cut(name));
            self.svg.grid((mean, y), (p99, y));
            self.svg.dot((p99, y), Pen(1), false);
            self.svg.dot((mean, y), Pen(0), true);
        }
        for (index, (name, is_full)) in [("mean", true), ("99th percentile", false)].into_iter().enumerate() {
            let y = top + index as f64 * LINE_HEIGHT + 8.0;
            self.svg.dot((RIGHT + 27.0, y), Pen(index), is_full);
            self.svg.text((RIGHT + 44.0, y + 4.0), Anchor::Start, "", name);
        }
        self.top = bottom + FOOT_HEIGHT;
    }

    /// Writes a panel's title; returns where the plotted area begins.
    fn titled(&mut self, title: &str) -> f64 {
        self.svg.text((16.0, self.top + 22.0), Anchor::Start, "title", title);
        self.top + TITLE_HEIGHT
    }
}

/// The last part of a path.
fn name_of(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use qvl::compare::Comparison;

    use super::*;
    use crate::args::CompareArgs;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        compare: CompareArgs,
    }

    /// The report of a comparison that was stopped at once.
    fn empty_report() -> Report {
        let args = Line::parse_from(["test", "some/a<b", "c/", "--data", "q.jsonl"]).compare;
        Report::new(&args, Path::new("q.jsonl"), &Comparison::default(), 3, Duration::ZERO)
    }

    #[test]
    fn nothing_compared_is_an_empty_drawing() {
        let drawing = plot(&empty_report(), &[]);
        assert!(drawing.contains("c beside a&lt;b") && !drawing.contains("Weights") && !drawing.contains("NaN"));
    }

    #[test]
    fn weights_are_drawn_by_layer_for_each_graph() {
        let matrix = |graph, name: &str, layers: &[(usize, f64)]| MatrixErrors {
            graph,
            matrix: name.to_owned(),
            layers: layers.to_vec(),
        };
        let name = "mlp.experts.a_name_beyond_the_legend";
        let weights =
            [matrix(Graph::Text, "mlp.down_proj", &[(0, 0.01), (1, 0.1)]), matrix(Graph::Text, name, &[(1, 0.001)])];
        let drawing = plot(&empty_report(), &weights);
        assert!(drawing.contains("Weights of the text graph") && !drawing.contains("Weights of the vision graph"));
        assert!(drawing.contains(">mlp.down_proj</text>") && drawing.contains(">mlp.experts.a_name_beyond_…</text>"));
        // Two decades in 190 pixels, and layers from end to end.
        let (left, right) = (LEFT, RIGHT);
        assert!(drawing.contains(&format!("points=\"{left:.1},")) && drawing.contains(&format!(" {right:.1},")));
    }
}
