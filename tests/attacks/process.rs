//! What the kernel knows about a process.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// A running process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Resident memory in bytes, now and at its highest.
    pub(crate) fn memory(self) -> (usize, usize) {
        let status = self.read("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
            1024 * kib.and_then(|kib| kib.parse::<usize>().ok()).expect(name)
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// How many descriptors are open.
    pub(crate) fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .expect("the process runs")
            .count()
    }

    /// CPU time spent so far by its first thread.
    pub(crate) fn cpu_time(self) -> Duration {
        let nanos = self.read("schedstat");
        let nanos = nanos.split(' ').next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.expect("nanoseconds"))
    }

    /// Leaves it room for so many more descriptors than it has.
    pub(crate) fn limit_descriptors(self, spare: usize) {
        let limit = Some((self.descriptors() + spare) as u64);
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        let new = Rlimit {
            current: limit,
            maximum: limit,
        };
        prlimit(pid, Resource::Nofile, new).expect("the process is ours");
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).expect("the process runs")
    }
}
