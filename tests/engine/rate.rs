//! The message rate, apart from the source because only the loop's file may read the clock.

use std::time::{Duration, Instant};

use fanfare::client::rate::{MessageRate, Verdict};
use fanfare::time::deadlines::Deadlines;

/// Spends one message at each of `moments`, in milliseconds, and tells the first verdict of each kind.
fn first(rate: u32, moments: impl Iterator<Item = u64>) -> (Option<u64>, Option<u64>) {
    let start = Instant::now();
    let deadlines = Deadlines::new(start);
    let mut bucket = MessageRate::new(rate, deadlines.tick(start));
    let (mut warned, mut exceeded) = (None, None);
    for at in moments {
        let now = deadlines.tick(start + Duration::from_millis(at));
        match bucket.spend(1, rate, now) {
            Verdict::Fine => {}
            Verdict::Warned => warned = warned.or(Some(at)),
            Verdict::Exceeded => exceeded = exceeded.or(Some(at)),
        }
    }
    (warned, exceeded)
}

/// Every `gap` milliseconds, for a minute.
fn every(gap: u64) -> impl Iterator<Item = u64> {
    (0..60_000).step_by(gap as usize)
}

#[test]
fn who_stays_within_the_rate_is_never_warned_however_low_it_is() {
    for (rate, gap) in [(1, 1_000), (3, 334), (7, 143), (9, 112), (50, 20), (99, 11)] {
        assert_eq!(first(rate, every(gap)), (None, None), "{rate} a second");
    }
}

#[test]
fn who_stays_above_the_rate_is_warned_and_has_to_leave_ten_seconds_later() {
    for (rate, gap) in [(3, 250), (9, 90), (50, 12), (100, 5)] {
        let (warned, exceeded) = first(rate, every(gap));
        let (warned, exceeded) = (warned.expect("warned"), exceeded.expect("exceeded"));
        assert!(
            (10_000..10_700).contains(&(exceeded - warned)),
            "{rate} a second"
        );
    }
}

#[test]
fn a_burst_is_allowed_and_who_slows_down_after_a_warning_may_stay() {
    let burst = (0..100).map(|_| 0);
    assert_eq!(first(100, burst), (None, None));
    // Twice the rate for three seconds, then a quarter of it for seven, again and again.
    let moments = every(5).filter(|at| at % 10_000 < 3_000 || at % 40 == 0);
    let (warned, exceeded) = first(100, moments);
    assert!(warned.is_some());
    assert_eq!(exceeded, None);
}

#[test]
fn a_pause_of_a_moment_does_not_undo_a_flood() {
    // A hundred times the rate for nine seconds, then a pause of one, again and again.
    let moments = every(1).filter(|at| at % 10_000 < 9_000);
    let (warned, exceeded) = first(10, moments);
    let (warned, exceeded) = (warned.expect("warned"), exceeded.expect("exceeded"));
    assert!((10_000..10_700).contains(&(exceeded - warned)));
}

#[test]
fn no_limit_is_no_limit_and_the_highest_rate_does_not_overflow() {
    assert_eq!(first(0, every(1)), (None, None));
    assert_eq!(first(u32::MAX, every(1)), (None, None));
}
