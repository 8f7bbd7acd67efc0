//! Boxes that are told as JSON: `[{"bbox_2d": [x0, y0, x1, y1], "label": "circle"}]`.

use serde::Deserialize;

/// A box and what is in it. The unit of the coordinates is the same in answer and reference.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct LabelledBox {
    /// Left, top, right and bottom edge.
    #[serde(rename = "bbox_2d")]
    corners: [f64; 4],
    label: String,
}

/// The mean over the boxes of `reference` of the intersection over union with the best box of the same label in
/// `answer` that no earlier one took. 0 if either is no list of boxes, or the reference is empty.
pub(super) fn score(answer: &str, reference: &str) -> f64 {
    let (Some(mut left), Some(reference)) = (parse(answer), parse(reference)) else { return 0.0 };
    let total: f64 = reference.iter().map(|wanted| take_best(&mut left, wanted)).sum();
    total / reference.len().max(1) as f64
}

/// The boxes of `text`, with a fence of Markdown around them or without; `None` if that is not what it holds.
pub(super) fn parse(text: &str) -> Option<Vec<LabelledBox>> {
    let text = text.trim();
    let text = text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).unwrap_or(text);
    serde_json::from_str(text.strip_suffix("```").unwrap_or(text)).ok()
}

/// Takes the box that fits `wanted` best out of `left`; 0 if none overlaps it, and none is taken then.
fn take_best(left: &mut Vec<LabelledBox>, wanted: &LabelledBox) -> f64 {
    let same_label = left.iter().enumerate().filter(|(_, found)| found.label == wanted.label);
    let overlaps = same_label.map(|(index, found)| (index, intersection_over_union(&found.corners, &wanted.corners)));
    match overlaps.max_by(|a, b| a.1.total_cmp(&b.1)) {
        Some((index, overlap)) if overlap > 0.0 => {
            left.swap_remove(index);
            overlap
        }
        _ => 0.0,
    }
}

/// From 0 to 1. A box without area, or whose edges are crossed, overlaps nothing.
fn intersection_over_union(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let common = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    let intersection = area(&common);
    let union = area(a) + area(b) - intersection;
    // Numbers of hundreds of digits have no finite area.
    if union.is_finite() && union > 0.0 { (intersection / union).clamp(0.0, 1.0) } else { 0.0 }
}

fn area([left, top, right, bottom]: &[f64; 4]) -> f64 {
    (right - left).max(0.0) * (bottom - top).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REFERENCE: &str =
        r#"[{"bbox_2d": [0, 0, 10, 10], "label": "circle"}, {"bbox_2d": [20, 0, 30, 10], "label": "circle"}]"#;

    #[test]
    fn each_box_of_the_answer_serves_once() {
        assert_eq!(score(REFERENCE, REFERENCE), 1.0);
        let reversed =
            r#"[{"bbox_2d": [20, 0, 30, 10], "label": "circle"}, {"bbox_2d": [0, 0, 10, 10], "label": "circle"}]"#;
        assert_eq!(score(reversed, REFERENCE), 1.0);
        let twice =
            r#"[{"bbox_2d": [0, 0, 10, 10], "label": "circle"}, {"bbox_2d": [0, 0, 10, 10], "label": "circle"}]"#;
        assert_eq!(score(twice, REFERENCE), 0.5);
    }

    #[test]
    fn the_overlap_and_the_label_count() {
        let half = r#"[{"bbox_2d": [0, 0, 5, 10], "label": "circle"}]"#;
        assert_eq!(score(half, REFERENCE), 0.25);
        assert_eq!(score(&half.replace("circle", "square"), REFERENCE), 0.0);
    }

    #[test]
    fn a_fence_is_tolerated_and_all_else_is_not() {
        assert_eq!(score(&format!("```json\n{REFERENCE}\n```"), REFERENCE), 1.0);
        for answer in ["", "the circle", &REFERENCE[..40], r#"[{"bbox_2d": [0, 0, 1], "label": "circle"}]"#] {
            assert_eq!(score(answer, REFERENCE), 0.0, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn intersection_over_union_is_symmetric_and_from_0_to_1(
            a in prop::array::uniform4(-1e200..1e200), b in prop::array::uniform4(-100.0..100.0),
        ) {
            let overlap = intersection_over_union(&a, &b);
            prop_assert_eq!(overlap, intersection_over_union(&b, &a));
            prop_assert!((0.0..=1.0).contains(&overlap));
        }

        #[test]
        fn a_box_overlaps_itself_wholly(place in prop::array::uniform2(-100.0..100.0), size in prop::array::uniform2(0.1..100.0)) {
            let [(x, y), (w, h)] = [place, size].map(|[a, b]: [f64; 2]| (a, b));
            let corners = [x, y, x + w, y + h];
            prop_assert_eq!(intersection_over_union(&corners, &corners), 1.0);
        }
    }
}
