//! Means and quantiles.

use serde::Serialize;

/// Where the values of a measure lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub median: f64,
    /// The 99th percentile: a hundredth of the values are greater.
    pub p99: f64,
}

impl Spread {
    /// Of `values`; none if there are none.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self {
            mean: mean(values.iter().copied())?,
            median: quantile(&values, 0.5)?,
            p99: quantile(&values, 0.99)?,
        })
    }
}

/// The mean; none of no values.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}

/// How many of `values` hold, in percent; none of no values.
pub(super) fn percent(values: impl Iterator<Item = bool>) -> Option<f64> {
    mean(values.map(|holds| if holds { 100.0 } else { 0.0 }))
}

/// The quantile of `sorted`, linear between neighbours (the default of NumPy).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spreads_by_hand() {
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![3.0]), Some(Spread { mean: 3.0, median: 3.0, p99: 3.0 }));
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 101.0]).unwrap();
        assert_eq!((spread.mean, spread.median), (27.0, 3.0));
        // Between the third and the fourth value, at 0.99 · 3 = 2.97.
        assert!((spread.p99 - (4.0 + 97.0 * 0.97)).abs() < 1e-9);
    }

    #[test]
    fn shares_are_in_percent() {
        assert_eq!(percent([true, false, false, false].into_iter()), Some(25.0));
        assert_eq!(percent([].into_iter()), None);
    }

    proptest! {
        #[test]
        fn a_quantile_lies_among_the_values(mut values in prop::collection::vec(0.0..1e3_f64, 1..50), share in 0.0..=1.0_f64) {
            values.sort_by(f64::total_cmp);
            let found = quantile(&values, share).unwrap();
            prop_assert!(values[0] <= found && found <= values[values.len() - 1]);
            prop_assert_eq!(quantile(&values, 0.0), Some(values[0]));
            prop_assert_eq!(quantile(&values, 1.0), values.last().copied());
        }
    }
}
