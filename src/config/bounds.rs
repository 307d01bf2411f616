//! The bounds that are not settings, each with its reason.

use std::time::Duration;

/// The length of the buffer into which every socket is read, and so the read budget of a client and turn.
///
/// Large enough that a flood of small messages costs few system calls, small enough to stay in the
/// second-level cache and to let others have their turn.
pub const READ_LEN: usize = 64 * 1024;
/// How much is read at once from a peer that speaks HTTP: it bounds the answers to pipelined requests.
pub const HTTP_READ_LEN: usize = 4 * 1024;
/// The longest body of a publication of many messages, in bytes.
pub const PUBLICATION_LEN_MAX: usize = 256 * 1024;
/// A peer that has more than this of its answers or echoes to take is not read from.
pub const PRIVATE_LEN_MAX: usize = 64 * 1024;
/// How many writes one client gets in a turn.
pub const WRITES_PER_TURN: usize = 16;
/// After so many offers of a batch to a member, nobody more is read from in a turn: about a fifth of a
/// second, so that signals, deadlines and new connections are not kept waiting by clients that flood a full room.
pub const OFFERS_PER_TURN: usize = 50_000;
/// How many clients join a room in a turn; the requests of others wait for the next one.
pub const JOINS_PER_TURN: usize = 64;
/// How many bytes are written in a turn to clients that are behind; the others have their turn in the next one.
pub const FLUSHED_LEN_PER_TURN: usize = 4 * 1024 * 1024;
/// How many connections are accepted in a turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// How many connections whose tokens have expired are closed in a turn.
pub const EXPIRIES_PER_TURN: usize = 10_000;
/// How long the listener rests when descriptors have run out, unless a client leaves before.
pub const ACCEPT_REST: Duration = Duration::from_secs(1);
/// How often the kernel is asked for the process's memory and descriptors, at the most.
pub const PROCESS_READ_PERIOD: Duration = Duration::from_secs(1);
/// How long a peer may take to close its side after it was sent the last bytes.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// Connections beyond a limit on clients that are told so with a `503` at the same time. Of more, those
/// beyond `--max-clients` wait in the backlog, and those beyond `--max-clients-per-ip` are closed.
pub const REFUSED_CLIENTS_MAX: usize = 64;
/// Connections to the admin address that are served at the same time. They have seats of their own, so that who
/// operates the server is served when it is full; more are refused like clients beyond a limit.
pub const ADMIN_CLIENTS_MAX: usize = 16;
/// How long sent bytes may stay unacknowledged, or unsent before a closed window, at the least, before the
/// kernel gives the peer up. Without it, a peer that vanished would hold its send buffer for a quarter of
/// an hour.
pub const USER_TIMEOUT_MIN: Duration = Duration::from_secs(30);
/// The longest time that the kernel takes for it, 24 days: it counts milliseconds.
pub(super) const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);
/// The shortest time to wait for anything but the end: the grain of all
/// [deadlines](crate::time::TICK). A shorter one could not be told from it.
pub(super) const WAIT_MIN: Duration = Duration::from_millis(100);
/// The number of clients from one address that is always allowed, unless `--max-clients-per-ip` says less.
pub(super) const CLIENTS_PER_IP_MIN: usize = 100;
/// How many of the largest messages must fit below `--max-queued`.
pub(super) const QUEUED_MESSAGES_MIN: usize = 4;
/// Descriptors that are not clients: standard streams, the poll, [`LISTENERS_MAX`] listeners, signals, the service
/// manager's socket, two connections to the broker and what looks up its name, and some air.
pub const RESERVED_DESCRIPTORS: usize = 32;
/// How many sockets are listened on, in all.
pub const LISTENERS_MAX: usize = 16;

/// Where the server listens if nothing else is said.
pub const DEFAULT_ADDR: &str = ":8080";
/// How many addresses of one name are listened on.
pub const ADDRESSES_PER_NAME_MAX: usize = 8;
/// The longest path of a Unix socket, in bytes: the kernel's bound, less the zero at its end.
pub const UNIX_PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// The backlog of connections that the kernel completes before they are accepted.
pub const LISTEN_BACKLOG: u16 = 4096;
