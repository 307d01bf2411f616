//! What the service manager is told (systemd's notification protocol, see its manual page `sd_notify`): that the
//! server is ready, that its loop turns, that it stops. Without one nothing happens.
//!
//! The protocol is a datagram of a few words. The crates for it open a socket for each, wait where the manager is slow,
//! and know no abstract names; the loop must not wait, so it has a socket of its own.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::process;
use std::time::Duration;

use tracing::warn;

/// The watchdog is not told of more often, whatever it asks for.
const WATCHDOG_PERIOD_MIN: Duration = Duration::from_millis(10);

/// The socket of the service manager, if there is one, and when its watchdog wants to be told that the loop turns.
#[derive(Debug)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Watchdog>,
}

#[derive(Debug, PartialEq, Eq)]
struct Watchdog {
    period: Duration,
    /// When it is told next, counted from the start.
    due: Duration,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`. A socket that cannot be used is
    /// warned of.
    pub(super) fn from_env() -> Self {
        let addr = env::var_os("NOTIFY_SOCKET").filter(|addr| !addr.is_empty());
        let socket = addr.and_then(|addr| {
            connect(&addr)
                .inspect_err(|error| warn!(%error, "NOTIFY_SOCKET cannot be used"))
                .ok()
        });
        let var = |name| env::var(name).ok();
        let watchdog = Watchdog::new(var("WATCHDOG_USEC"), var("WATCHDOG_PID"));
        Self {
            watchdog: watchdog.filter(|_| socket.is_some()),
            socket,
        }
    }

    /// The server listens.
    pub(super) fn ready(&self, addrs: &str) {
        self.send(&format!("READY=1\nSTATUS=listening on {addrs}"));
    }

    /// The server goes away.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=closing all connections");
    }

    /// The loop turns, which is told once in each period. `now` is counted from the start.
    pub(super) fn keep_alive(&mut self, now: Duration) {
        if let Some(watchdog) = &mut self.watchdog
            && watchdog.due <= now
        {
            watchdog.due = now + watchdog.period;
            self.send("WATCHDOG=1");
        }
    }

    /// How long the loop may sleep at the most.
    pub(super) fn until_due(&self, now: Duration) -> Duration {
        let due = self.watchdog.as_ref().map(|watchdog| watchdog.due);
        due.map_or(Duration::MAX, |due| due.saturating_sub(now))
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            warn!(%error, "the service manager cannot be told {state:?}");
        }
    }
}

impl Watchdog {
    /// Half the time after which the watchdog acts, as its manual asks for. None if it is not there, or for another
    /// process.
    fn new(usec: Option<String>, pid: Option<String>) -> Option<Self> {
        let limit = Duration::from_micros(usec?.parse().ok()?);
        let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(process::id()));
        (is_ours && !limit.is_zero()).then(|| Self {
            period: (limit / 2).max(WATCHDOG_PERIOD_MIN),
            due: Duration::ZERO,
        })
    }
}

/// A name that begins with `@` is an abstract one, which no file stands for.
fn connect(addr: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match addr.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            use std::os::unix::net::SocketAddr;

            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(addr)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watchdog(usec: &str, pid: Option<u32>) -> Option<Duration> {
        let pid = pid.map(|pid| pid.to_string());
        Watchdog::new(Some(usec.to_owned()), pid).map(|watchdog| watchdog.period)
    }

    #[test]
    fn a_watchdog_is_told_at_half_its_time() {
        assert_eq!(watchdog("2000000", None), Some(SECOND));
        assert_eq!(watchdog("2000000", Some(process::id())), Some(SECOND));
        assert_eq!(watchdog("1", None), Some(WATCHDOG_PERIOD_MIN));
        assert_eq!(
            watchdog("18446744073709551615", None).map(|period| period > SECOND),
            Some(true)
        );
    }

    #[test]
    fn a_watchdog_of_another_process_or_of_no_time_is_none() {
        assert_eq!(watchdog("2000000", Some(process::id() + 1)), None);
        for usec in ["0", "", "-1", "soon", "18446744073709551616"] {
            assert_eq!(watchdog(usec, None), None, "{usec}");
        }
        assert_eq!(Watchdog::new(None, None), None);
    }

    #[test]
    fn the_loop_sleeps_until_the_watchdog_is_to_be_told() {
        let (socket, manager) = UnixDatagram::pair().expect("a pair");
        manager.set_nonblocking(true).expect("an option");
        let mut notifier = Notifier {
            socket: Some(socket),
            watchdog: Watchdog::new(Some("2000000".to_owned()), None),
        };
        let told = |notifier: &mut Notifier, now| {
            notifier.keep_alive(now);
            manager.recv(&mut [0; 64]).is_ok()
        };
        assert_eq!(notifier.until_due(Duration::ZERO), Duration::ZERO);
        assert!(told(&mut notifier, Duration::ZERO));
        assert_eq!(notifier.until_due(SECOND / 4), SECOND * 3 / 4);
        assert!(!told(&mut notifier, SECOND * 3 / 4));
        assert!(told(&mut notifier, SECOND));
        // One that comes late is told once, not for each period that has passed.
        assert!(told(&mut notifier, 10 * SECOND));
        assert_eq!(notifier.until_due(10 * SECOND), SECOND);
    }

    /// It would wait for ever otherwise, and so would this test.
    #[test]
    fn a_manager_that_reads_nothing_does_not_stop_the_loop() {
        let path = env::temp_dir().join(format!("fanfare-notify-{}", process::id()));
        let manager = UnixDatagram::bind(&path).expect("a path");
        let socket = connect(path.as_os_str()).expect("it is there");
        std::fs::remove_file(path).expect("it is there");
        let mut notifier = Notifier {
            socket: Some(socket),
            watchdog: Watchdog::new(Some("2000000".to_owned()), None),
        };
        for second in 0..10_000 {
            notifier.keep_alive(second * SECOND);
        }
        assert!(manager.recv(&mut [0; 64]).is_ok());
    }

    #[test]
    fn without_a_service_manager_the_loop_sleeps_as_long_as_it_likes() {
        let mut notifier = Notifier {
            socket: None,
            watchdog: None,
        };
        notifier.ready("somewhere");
        notifier.keep_alive(SECOND);
        notifier.stopping();
        assert_eq!(notifier.until_due(SECOND), Duration::MAX);
    }
}
