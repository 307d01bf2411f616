//! What the kernel counts for this process.

/// The process's memory, time and descriptors.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Resident memory, in bytes.
    pub resident_len: u64,
    /// Processor time in the program and in the kernel, in seconds.
    pub cpu_seconds: f64,
    /// Open descriptors.
    pub open_fds: u64,
    /// How many may be open; `None` for no limit.
    pub max_fds: Option<u64>,
    /// When the process was started, in seconds since 1970.
    pub start_seconds: f64,
}

impl Process {
    /// Asks the kernel; `None` where it does not tell.
    #[cfg(target_os = "linux")]
    pub fn read() -> Option<Self> {
        use procfs::process::LimitValue;

        let process = procfs::process::Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let limits = process.limits().ok()?;
        let clock_ticks = procfs::ticks_per_second() as f64;
        let started = stat.starttime as f64 / clock_ticks;
        Some(Self {
            resident_len: stat.rss.saturating_mul(procfs::page_size()),
            cpu_seconds: stat.utime.saturating_add(stat.stime) as f64 / clock_ticks,
            open_fds: process.fd_count().ok()? as u64,
            max_fds: match limits.max_open_files.soft_limit {
                LimitValue::Value(max) => Some(max),
                LimitValue::Unlimited => None,
            },
            start_seconds: procfs::boot_time_secs().ok()? as f64 + started,
        })
    }

    /// Asks the kernel; `None` where it does not tell.
    #[cfg(not(target_os = "linux"))]
    pub fn read() -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_kernel_tells_memory_time_and_descriptors() {
        let before = Process::read().expect("there is /proc");
        assert!(before.resident_len > 100_000);
        assert!(before.max_fds.is_none_or(|max| max >= before.open_fds));
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let age = unix.expect("it is past 1970").as_secs_f64() - before.start_seconds;
        assert!((-2.0..86_400.0).contains(&age), "{age}");
        // Other tests open and close files meanwhile, but not so many.
        let opened: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null")).collect();
        let after = Process::read().expect("there is /proc");
        assert!(after.open_fds >= before.open_fds + opened.len() as u64 / 2);
        assert!(after.cpu_seconds >= before.cpu_seconds);
    }
}
