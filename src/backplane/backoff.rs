//! How long to wait before a connection is tried again: longer each time, and never the same for all nodes.

use std::time::Duration;

use super::random::Random;

/// The first wait, before it is jittered.
pub const WAIT_MIN: Duration = Duration::from_millis(50);
/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait: it doubles from [`WAIT_MIN`] to [`WAIT_MAX`] and is then shortened by up to a half.
    pub(super) fn next_wait(&mut self, random: &mut Random) -> Duration {
        let doubled = WAIT_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let half = doubled.min(WAIT_MAX) / 2;
        let jitter_max = u64::try_from(half.as_micros()).unwrap_or(u64::MAX - 1);
        half + Duration::from_micros(random.below(jitter_max + 1))
    }

    /// The connection proved good: waits start over.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_bound_are_jittered_and_start_over() {
        let mut random = Random::new(7);
        let mut backoff = Backoff::default();
        let mut longest = WAIT_MIN;
        let mut shares = Vec::new();
        for _ in 0..40 {
            let wait = backoff.next_wait(&mut random);
            assert!(longest / 2 <= wait && wait <= longest, "{wait:?}");
            shares.push(wait.as_secs_f64() / longest.as_secs_f64());
            longest = (2 * longest).min(WAIT_MAX);
        }
        assert!(shares.iter().any(|share| *share < 0.6), "{shares:?}");
        assert!(shares.iter().any(|share| *share > 0.9), "{shares:?}");
        backoff.reset();
        assert!(backoff.next_wait(&mut random) <= WAIT_MIN);
    }
}
