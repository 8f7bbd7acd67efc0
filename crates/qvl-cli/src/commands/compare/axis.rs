//! Scales: from values to places on the drawing.

/// Most decades of a logarithmic axis; smaller values lie at its lower end.
const MAX_DECADES: i32 = 8;

/// Most labels of a linear axis.
const MAX_LABELS: usize = 10;

/// A logarithmic axis of whole decades.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogAxis {
    low: i32,
    high: i32,
    /// Where the lower and the upper end are drawn.
    ends: (f64, f64),
}

impl LogAxis {
    /// An axis that all positive `values` lie on, at least one decade long.
    pub fn new(values: impl Iterator<Item = f64>, ends: (f64, f64)) -> Self {
        let positive: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
        let least = positive.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = positive.iter().copied().fold(0.0, f64::max);
        if positive.is_empty() {
            return Self { low: -1, high: 0, ends };
        }
        let high = greatest.log10().ceil() as i32;
        let low = (least.log10().floor() as i32).clamp(high - MAX_DECADES, high - 1);
        Self { low, high, ends }
    }

    /// Where `value` is drawn: at the lower end if it is zero or below the axis.
    pub fn place(&self, value: f64) -> f64 {
        let share = (value.max(0.0).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.ends.0 + share.clamp(0.0, 1.0) * (self.ends.1 - self.ends.0)
    }

    /// Place and label of each decade.
    pub fn labels(&self) -> impl Iterator<Item = (f64, String)> {
        (self.low..=self.high).map(|decade| (self.place(10.0_f64.powi(decade)), decade_label(decade)))
    }
}

fn decade_label(decade: i32) -> String {
    match decade {
        -2..=0 => format!("{:.*}", decade.unsigned_abs() as usize, 10.0_f64.powi(decade)),
        1..=3 => format!("{:.0}", 10.0_f64.powi(decade)),
        _ => format!("1e{decade}"),
    }
}

/// An axis of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountAxis {
    first: usize,
    last: usize,
    ends: (f64, f64),
}

impl CountAxis {
    /// From `first` to `last`.
    pub fn new(first: usize, last: usize, ends: (f64, f64)) -> Self {
        Self { first, last: last.max(first), ends }
    }

    /// Where `number` is drawn; if there is only one, in the middle.
    pub fn place(&self, number: usize) -> f64 {
        let (start, end) = self.ends;
        if self.first == self.last {
            return f64::midpoint(start, end);
        }
        let share = number.saturating_sub(self.first) as f64 / (self.last - self.first) as f64;
        start + share.min(1.0) * (end - start)
    }

    /// Place and number of the labels: multiples of 1, 2 or 5 times a power of ten.
    pub fn labels(&self) -> impl Iterator<Item = (f64, usize)> {
        let step = self.step();
        (self.first..=self.last)
            .filter(move |number| number.is_multiple_of(step))
            .map(|number| (self.place(number), number))
    }

    fn step(&self) -> usize {
        let numbers = self.last - self.first + 1;
        let steps = (0..).flat_map(|power| [1, 2, 5].map(|factor| factor * 10_usize.saturating_pow(power)));
        steps.into_iter().find(|step| numbers.div_ceil(*step) <= MAX_LABELS).unwrap_or(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_hold_the_values() {
        let axis = LogAxis::new([0.0, 0.002, 0.3, f64::NAN].into_iter(), (100.0, 0.0));
        let labels: Vec<_> = axis.labels().collect();
        let labels: Vec<_> = labels.iter().map(|(place, label)| (place.round(), label.as_str())).collect();
        assert_eq!(labels, [(100.0, "1e-3"), (67.0, "0.01"), (33.0, "0.1"), (0.0, "1")]);
        assert_eq!((axis.place(0.0), axis.place(1e-9), axis.place(50.0)), (100.0, 100.0, 0.0));
        assert!((axis.place(0.1) - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn an_axis_is_never_empty_and_never_too_long() {
        for values in [vec![], vec![0.0], vec![1.0], vec![1e-30, 1.0], vec![1e300]] {
            let axis = LogAxis::new(values.iter().copied(), (0.0, 1.0));
            assert!((2..=9).contains(&axis.labels().count()), "{values:?}");
            assert!(values.iter().all(|&value| (0.0..=1.0).contains(&axis.place(value))), "{values:?}");
        }
    }

    #[test]
    fn numbers_are_labelled_at_round_steps() {
        let labels = |first, last| {
            let axis = CountAxis::new(first, last, (0.0, 90.0));
            axis.labels().map(|(_, number)| number).collect::<Vec<_>>()
        };
        assert_eq!(labels(1, 4), [1, 2, 3, 4]);
        assert_eq!(labels(1, 64), [10, 20, 30, 40, 50, 60]);
        assert_eq!(labels(0, 27), [0, 5, 10, 15, 20, 25]);
        assert_eq!(labels(7, 7), [7]);
        let axis = CountAxis::new(1, 10, (0.0, 90.0));
        assert_eq!((axis.place(1), axis.place(2), axis.place(10)), (0.0, 10.0, 90.0));
        assert_eq!(CountAxis::new(7, 7, (0.0, 90.0)).place(7), 45.0);
    }
}
