//! How long turns take, as a histogram.

use std::time::Duration;

/// The longest time of each bucket, in microseconds; one more bucket has the rest.
const BOUNDS_MICROS: [u64; 14] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000,
];

/// The times of all turns so far.
#[derive(Debug, Default, Clone)]
pub struct TurnTimes {
    counts: [u64; BOUNDS_MICROS.len() + 1],
    sum: Duration,
}

impl TurnTimes {
    /// Counts a turn that took so long.
    pub fn add(&mut self, time: Duration) {
        let bucket = BOUNDS_MICROS
            .iter()
            .position(|&bound| time <= Duration::from_micros(bound))
            .unwrap_or(BOUNDS_MICROS.len());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(time);
    }

    /// How many turns there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest time of each bucket in seconds, infinity for the last one, and how many turns are in it and in none
    /// before it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_MICROS
            .iter()
            .map(|&bound| Duration::from_micros(bound).as_secs_f64());
        let bounds = bounds.chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_in_the_first_bucket_that_is_not_too_short() {
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
}
