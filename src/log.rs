//! The log: to standard error, as text or JSON, and never in the server's way.

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use fanfare::config::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

/// Starts logging.
///
/// # Errors
/// The filter makes no sense.
pub(crate) fn start(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.log)?)
        .with_writer(Mutex::new(Patient::open()))
        .with_ansi(io::stderr().is_terminal())
        // A log that cannot be written must not stop the server, nor be complained about to itself.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
}

/// Standard error, which takes a line at once or does without it: the loop does not wait for whoever
/// should read the log.
enum Patient {
    /// A description of our own of what standard error is, which does not block.
    Opened(File),
    /// What cannot be opened again, such as a socket, or where there is no such way.
    Inherited(io::Stderr),
}

impl Patient {
    #[cfg(target_os = "linux")]
    fn open() -> Self {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

        // Opening a pipe again gives it flags that are not shared with other programs. A file is left
        // alone: opened again it would be written from its start.
        let path = "/proc/self/fd/2";
        let is_pipe = std::fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo());
        let opened = File::options()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        match opened {
            Ok(file) if is_pipe => Self::Opened(file),
            _ => Self::Inherited(io::stderr()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open() -> Self {
        Self::Inherited(io::stderr())
    }
}

impl Write for Patient {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Opened(file) => file.write(line),
            Self::Inherited(stderr) => stderr.write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Opened(file) => file.flush(),
            Self::Inherited(stderr) => stderr.flush(),
        }
    }
}
