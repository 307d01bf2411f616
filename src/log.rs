//! The log: to standard error, as text or JSON, and never in the server's way.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use fanfare::config::{LogFormat, LogSettings};
use socket2::SockRef;
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Registry, fmt, registry};

/// The filter of the log, which can be replaced while it is in use.
pub(crate) type FilterHandle = Handle<EnvFilter, Registry>;

/// What is to be logged.
///
/// # Errors
/// A line that says why the filter makes no sense.
pub(crate) fn filter(settings: &LogSettings) -> Result<EnvFilter, String> {
    let filter = EnvFilter::try_new(&settings.filter);
    filter.map_err(|error| format!("--log {:?}: {error}", settings.filter))
}

/// Starts logging.
///
/// # Errors
/// The process logs already.
pub(crate) fn start(
    settings: &LogSettings,
    filter: EnvFilter,
) -> Result<FilterHandle, TryInitError> {
    let is_terminal = io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer()
        .with_writer(Mutex::new(NonBlockingStderr::open()))
        .with_ansi(is_terminal)
        // A log that cannot be written must not stop the server, nor be complained about to itself.
        .log_internal_errors(false);
    let is_text = match settings.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = match is_text {
        true => lines.boxed(),
        false => lines.json().boxed(),
    };
    registry().with(filter).with(lines).try_init()?;
    Ok(handle)
}

/// Standard error, which takes a line at once or does without it: the loop does not wait for the program that
/// should read the log.
enum NonBlockingStderr {
    /// A description of our own of what standard error is, which does not block.
    Opened(File),
    /// The journal's, say. It cannot be opened again, but every send can say that it does not wait.
    Socket(io::Stderr),
    /// A file, or where there is no way to open it again.
    Inherited(io::Stderr),
}

impl NonBlockingStderr {
    fn open() -> Self {
        let stderr = io::stderr();
        if SockRef::from(&stderr).r#type().is_ok() {
            return Self::Socket(stderr);
        }
        reopened().map_or(Self::Inherited(stderr), Self::Opened)
    }
}

/// Opening a pipe or a terminal again gives it flags that are not shared with other programs. A file is
/// left alone: opened again it would be written from its start.
#[cfg(target_os = "linux")]
fn reopened() -> Option<File> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

    let path = "/proc/self/fd/2";
    let kind = std::fs::metadata(path).ok()?.file_type();
    if !kind.is_fifo() && !kind.is_char_device() {
        return None;
    }
    File::options()
        .write(true)
        // A terminal must not become the one that sends us its signals.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .ok()
}

#[cfg(not(target_os = "linux"))]
fn reopened() -> Option<File> {
    None
}

impl Write for NonBlockingStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Opened(file) => file.write(line),
            Self::Socket(stderr) => SockRef::from(&*stderr)
                .send_with_flags(line, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL),
            Self::Inherited(stderr) => stderr.write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Opened(file) => file.flush(),
            // What is sent is on its way.
            Self::Socket(_) => Ok(()),
            Self::Inherited(stderr) => stderr.flush(),
        }
    }
}
