//! What the kernel knows about processes: processor time, resident memory, and how busy the machine is.

use std::fs;
use std::io;
use std::ops::{AddAssign, Sub};
use std::time::{Duration, Instant};

/// `/proc` counts processor time in these, whatever the kernel's own clock.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) total: Duration,
    /// Ticks in the program itself.
    user: u64,
    /// Ticks in the kernel on its behalf.
    system: u64,
}

impl Cpu {
    /// The time `pid` has used. The scheduler adds it up when a thread stops running and at ticks, so it lags while `pid` is busy.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let [user, system, ..] = ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?);
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else {
                // The kernel keeps no such statistics, so ticks have to do.
                total = in_ticks(user + system);
                break;
            };
            let [ran_ns] = numbers(&schedstat);
            total += Duration::from_nanos(ran_ns);
        }
        Ok(Self {
            total,
            user,
            system,
        })
    }

    /// The part of the time that was spent outside the kernel, 0 to 1. Short spans have too few ticks to know.
    pub(crate) fn user_share(self) -> f64 {
        self.user as f64 / (self.user + self.system).max(1) as f64
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, start: Self) -> Self {
        Self {
            total: self.total.saturating_sub(start.total),
            user: self.user.saturating_sub(start.user),
            system: self.system.saturating_sub(start.system),
        }
    }
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, more: Self) {
        self.total += more.total;
        self.user += more.user;
        self.system += more.system;
    }
}

/// Bytes of `pid`'s memory that are resident.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    Ok(kibibytes(&rollup, "Rss:") * 1024)
}

/// Bytes of `pid`'s memory that were resident at most, ever.
pub(crate) fn resident_peak(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(kibibytes(&status, "VmHWM:") * 1024)
}

/// Whether `pid` waits for something other than a core; on a busy machine it may have used no time for a while and not be done.
pub(crate) fn sleeps(pid: u32) -> io::Result<bool> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat
        .rsplit_once(") ")
        .is_some_and(|(_, fields)| fields.starts_with('S')))
}

/// How many descriptors `pid` has open.
pub(crate) fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How busy the machine is with something else, which is what spoils a measurement.
pub(crate) struct Bystanders {
    start: Instant,
    busy: u64,
    own: u64,
}

impl Bystanders {
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            start: Instant::now(),
            busy: busy_ticks()?,
            own: own_ticks()?,
        })
    }

    /// Cores that others used since then, on average. Of our children only those count as ours that have ended.
    pub(crate) fn cores_used(&self) -> io::Result<f64> {
        let busy = busy_ticks()? - self.busy;
        let own = own_ticks()? - self.own;
        let others = in_ticks(busy.saturating_sub(own));
        Ok(others.as_secs_f64() / self.start.elapsed().as_secs_f64())
    }
}

/// All cores together: everything but idling and waiting for disks, with what a hypervisor took away.
fn busy_ticks() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let all_cores = stat
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("cpu "));
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] =
        numbers(all_cores.unwrap_or_default());
    Ok(user + nice + system + irq + softirq + steal)
}

/// This process and those of its children that have ended.
fn own_ticks() -> io::Result<u64> {
    Ok(ticks(&fs::read_to_string("/proc/self/stat")?).iter().sum())
}

/// `utime`, `stime`, `cutime` and `cstime`, from field 14 on; the name in field 2 may hold anything, but ends with the last `)`.
fn ticks(stat: &str) -> [u64; 4] {
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let times = fields.splitn(12, ' ').nth(11);
    numbers(times.unwrap_or_default())
}

fn in_ticks(count: u64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(u32::MAX)
}

/// The first numbers of `text`; zero for what is not there.
fn numbers<const COUNT: usize>(text: &str) -> [u64; COUNT] {
    let mut numbers = text
        .split_whitespace()
        .map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

fn kibibytes(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let [kibibytes] = numbers(line.unwrap_or_default());
    kibibytes
}
