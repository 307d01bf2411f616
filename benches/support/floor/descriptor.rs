//! Descriptors as the numbers that they are, and what belongs to some of them.

use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// What belongs to one descriptor; where it is empty, as it mostly is, it costs nothing.
pub(super) type ByDescriptor<T> = HashMap<usize, T>;

pub(super) fn descriptor(socket: &OwnedFd) -> usize {
    // A descriptor that is open is never negative.
    usize::try_from(socket.as_raw_fd()).unwrap_or(usize::MAX)
}

/// Takes what belongs to `fd`, without hashing where nothing belongs to anybody.
pub(super) fn take<T>(map: &mut ByDescriptor<T>, fd: usize) -> Option<T> {
    if map.is_empty() {
        None
    } else {
        map.remove(&fd)
    }
}
