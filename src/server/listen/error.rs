//! Why the server does not listen, in one line that says what to do.

use std::io::{self, ErrorKind};

use crate::config::Addr;

/// Explains why `addr`, which `flag` has set, is not listened on.
pub(super) fn explain(flag: &str, addr: &Addr, error: &io::Error) -> io::Error {
    let advice = match addr {
        Addr::Tcp(_) => tcp_advice(flag, error.kind()),
        Addr::Unix(_) => unix_advice(flag, error.kind()),
    };
    let line = format!("cannot listen on {addr}: {error}; {advice}");
    io::Error::new(error.kind(), line)
}

fn tcp_advice(flag: &str, kind: ErrorKind) -> String {
    match kind {
        ErrorKind::AddrInUse => {
            format!("stop the program that uses the port, or choose another one with {flag}")
        }
        ErrorKind::PermissionDenied => {
            format!("ports below 1024 need a privilege; choose another one with {flag}")
        }
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; choose another {flag}")
        }
        _ => format!("{flag} is written HOST:PORT, :PORT or unix:/PATH"),
    }
}

fn unix_advice(flag: &str, kind: ErrorKind) -> String {
    let advice = match kind {
        ErrorKind::AddrInUse => "stop the program that listens there",
        ErrorKind::AlreadyExists => "what is there is no socket; remove it",
        ErrorKind::PermissionDenied => {
            "let this user write in the directory, and to the socket if there is one"
        }
        ErrorKind::NotFound => "make its directory first",
        _ => return format!("choose another path with {flag}"),
    };
    format!("{advice}, or choose another path with {flag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(flag: &str, addr: &Addr, kind: ErrorKind) -> String {
        let line = explain(flag, addr, &kind.into()).to_string();
        assert!(
            line.starts_with(&format!("cannot listen on {addr}: ")),
            "{line}"
        );
        assert!(line.contains(flag), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    }

    /// A test that may bind every port, as root may, sees no refusal; so it is made up.
    #[test]
    fn an_address_that_cannot_be_had_is_told_in_one_line_with_advice() {
        for (kind, advice) in [
            (
                ErrorKind::PermissionDenied,
                "ports below 1024 need a privilege",
            ),
            (ErrorKind::AddrInUse, "stop the program that uses the port"),
            (
                ErrorKind::AddrNotAvailable,
                "this machine has no such address",
            ),
            (ErrorKind::InvalidInput, "is written HOST:PORT, :PORT or"),
        ] {
            for flag in ["--addr", "--admin-addr"] {
                let line = line(flag, &Addr::Tcp("127.0.0.1:80".to_owned()), kind);
                assert!(line.contains(advice), "{line}");
            }
        }
    }

    #[test]
    fn a_path_that_cannot_be_had_is_told_in_one_line_with_advice() {
        for (kind, advice) in [
            (
                ErrorKind::PermissionDenied,
                "let this user write in the directory",
            ),
            (ErrorKind::AddrInUse, "stop the program that listens there"),
            (ErrorKind::AlreadyExists, "what is there is no socket"),
            (ErrorKind::NotFound, "make its directory first"),
            (ErrorKind::NotADirectory, "choose another path"),
        ] {
            let line = line("--addr", &Addr::Unix("/run/a.sock".into()), kind);
            assert!(line.contains(advice), "{line}");
        }
    }
}
