//! Deadlines, their ticks and the budget of the log, apart from the source because only the loop's file may
//! read the clock.

use std::time::{Duration, Instant};

use fanfare::id::ClientId;
use fanfare::observe::log_limiter::{LINES_PER_PERIOD, LogBudget};
use fanfare::time::deadlines::{Deadlines, TICK, Tick};

/// The tick that begins `ticks` ticks after the start.
fn tick(deadlines: &Deadlines, start: Instant, ticks: u32) -> Tick {
    deadlines.tick(start + TICK * ticks)
}

#[test]
fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
    let start = Instant::now();
    let deadlines = Deadlines::new(start);
    for armed_ms in [0, 1, 99, 100, 150] {
        for wait_ms in [0, 1, 99, 100, 101, 10_000] {
            let armed = start + Duration::from_millis(armed_ms);
            let wait = Duration::from_millis(wait_ms);
            let due = deadlines.tick(armed).after(wait);
            let first = (0..)
                .map(|ms| start + Duration::from_millis(ms))
                .find(|&now| deadlines.tick(now) >= due)
                .unwrap();
            assert!(first >= armed + wait, "{armed_ms} {wait_ms}");
            assert!(first <= armed + wait + 2 * TICK, "{armed_ms} {wait_ms}");
        }
    }
}

#[test]
fn ticks_are_popped_in_order_and_only_when_they_have_come() {
    let start = Instant::now();
    let mut deadlines = Deadlines::new(start);
    let [two, three, five, nine] = [2, 3, 5, 9].map(|ticks| tick(&deadlines, start, ticks));
    deadlines.push(five, ClientId(1));
    deadlines.push(three, ClientId(2));
    deadlines.push(five, ClientId(3));
    deadlines.push(Tick::NEVER, ClientId(4));
    assert_eq!(deadlines.wait(start), Some(3 * TICK));
    assert_eq!(deadlines.pop(two), None);
    assert_eq!(deadlines.pop(nine), Some(vec![ClientId(2)]));
    assert_eq!(deadlines.pop(nine), Some(vec![ClientId(1), ClientId(3)]));
    assert_eq!(deadlines.pop(nine), None);
    assert_eq!(deadlines.wait(start), None);
}

#[test]
fn an_endless_wait_is_never_due() {
    let start = Instant::now();
    let deadlines = Deadlines::new(start);
    assert_eq!(deadlines.tick(start).after(Duration::MAX), Tick::NEVER);
}

#[test]
fn the_log_gets_so_many_lines_a_second_and_is_told_of_the_rest() {
    let start = Instant::now();
    let deadlines = Deadlines::new(start);
    let mut budget = LogBudget::default();
    let now = tick(&deadlines, start, 5);
    let granted = (0..100).filter(|_| budget.take(now)).count();
    assert_eq!(granted, LINES_PER_PERIOD as usize);
    assert_eq!(budget.settle(tick(&deadlines, start, 14)), 0);
    let over = tick(&deadlines, start, 16);
    assert_eq!(budget.settle(over), 100 - LINES_PER_PERIOD);
    assert_eq!(budget.settle(over), 0);
    assert!(budget.take(over));
    // Whoever ends does not wait for the end of the second.
    (0..LINES_PER_PERIOD).for_each(|_| _ = budget.take(over));
    assert_eq!(budget.settle(Tick::NEVER), 1);
}
