//! How long things take, as histograms.

use std::time::Duration;

/// The longest time of each bucket, in microseconds. A histogram has the first of these, and one more bucket for the
/// rest.
const BOUNDS_MICROS: [u64; 17] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// How long turns take: up to 1 s.
pub type TurnTimes = Times<14>;
/// How long the broker takes to append: up to 10 s.
pub type AppendTimes = Times<17>;

/// All times so far, in buckets of the first `BOUNDS` bounds.
#[derive(Debug, Clone)]
pub struct Times<const BOUNDS: usize> {
    counts: [u64; BOUNDS],
    longer: u64,
    sum: Duration,
}

impl<const BOUNDS: usize> Default for Times<BOUNDS> {
    fn default() -> Self {
        const { assert!(BOUNDS <= BOUNDS_MICROS.len(), "there is a bound for each") };
        Self {
            counts: [0; BOUNDS],
            longer: 0,
            sum: Duration::ZERO,
        }
    }
}

impl<const BOUNDS: usize> Times<BOUNDS> {
    /// Counts something that took so long.
    pub fn add(&mut self, time: Duration) {
        let counts = BOUNDS_MICROS.iter().zip(&mut self.counts);
        let mut fitting = counts.filter(|(bound, _)| time <= Duration::from_micros(**bound));
        let count = fitting.next().map(|(_, count)| count);
        *count.unwrap_or(&mut self.longer) += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.longer
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest time of each bucket in seconds, infinity for the last one, and how many are in it and in none
    /// before it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_MICROS
            .iter()
            .map(|&bound| Duration::from_micros(bound).as_secs_f64());
        let bounded = bounds.zip(self.counts.iter().copied());
        bounded.chain([(f64::INFINITY, self.longer)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_is_not_too_short() {
        let mut times = TurnTimes::default();
        let nanos = [0, 50_000, 50_001, 999_999_999, 1_000_000_000, 1_000_000_001];
        for time in nanos {
            times.add(Duration::from_nanos(time));
        }
        let filled: Vec<_> = times.buckets().filter(|(_, count)| *count > 0).collect();
        let expected = [(50e-6, 2), (100e-6, 1), (1.0, 2), (f64::INFINITY, 1)];
        assert_eq!(filled, expected);
        assert_eq!(times.count(), 6);
        assert_eq!(times.sum(), Duration::from_nanos(nanos.iter().sum()));
    }

    #[test]
    fn each_histogram_ends_at_its_own_bound() {
        let ends = |buckets: Vec<(f64, u64)>| buckets.iter().rev().nth(1).map(|(bound, _)| *bound);
        assert_eq!(ends(TurnTimes::default().buckets().collect()), Some(1.0));
        assert_eq!(ends(AppendTimes::default().buckets().collect()), Some(10.0));
    }
}
