//! What several runs gave for one figure.

use serde::Serialize;

/// The middle and the ends of the values of all runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// The median; of an even number of values the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Range {
    /// Of `values`; none if there are none.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_hand() {
        let of = |values: &[f64]| Range::of(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[2.0]), Some(Range { median: 2.0, min: 2.0, max: 2.0 }));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(Range { median: 2.0, min: 1.0, max: 9.0 }));
        assert_eq!(of(&[4.0, 9.0, 1.0, 2.0]), Some(Range { median: 3.0, min: 1.0, max: 9.0 }));
    }
}
