//! What is known of a connected socket: edge-triggered readiness is a fact to remember until a call says
//! otherwise.

use std::io::{self, ErrorKind};

use crate::observe::CloseReason;

/// What a client needs of its socket, which never blocks.
pub trait Stream: io::Read + io::Write {
    /// Whether a read that fills less than it was offered proves that the socket is empty, and a write
    /// of which less is taken that it is full, so that any change will be announced. Where it does, one
    /// system call in two is saved.
    fn short_means_blocked(&self) -> bool;

    /// Ends our side of the stream; the peer's bytes can still be read.
    ///
    /// # Errors
    /// As the socket says.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// What may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing; what comes will be announced.
    Drained,
    /// Something, perhaps.
    Ready,
    /// The end of the stream was announced, and perhaps something before it. No further edge comes.
    HungUp,
    /// The end of the stream was reached.
    Ended,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The end of the stream.
    EndOfStream,
    /// The socket failed.
    Broken(ErrorKind),
}

impl Input {
    #[inline]
    pub(crate) fn note_ready(&mut self, readable: bool, hung_up: bool) {
        match self {
            Self::Drained | Self::Ready | Self::HungUp if hung_up => *self = Self::HungUp,
            Self::Drained if readable => *self = Self::Ready,
            _ => {}
        }
    }

    #[inline]
    pub(crate) fn may_bring_something(self) -> bool {
        matches!(self, Self::Ready | Self::HungUp)
    }

    /// A read is to be tried, whatever was announced.
    pub(super) fn expect(&mut self) {
        self.note_ready(true, false);
    }

    /// Reads once.
    #[inline]
    pub(crate) fn fill(&mut self, stream: &mut impl Stream, buffer: &mut [u8]) -> Fill {
        loop {
            match stream.read(buffer) {
                Ok(0) => {
                    *self = Self::Ended;
                    return Fill::EndOfStream;
                }
                Ok(len) => {
                    let is_empty = len < buffer.len() && stream.short_means_blocked();
                    if is_empty && *self == Self::Ready {
                        *self = Self::Drained;
                    }
                    return Fill::Bytes(len);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        *self = Self::Drained;
                        return Fill::Nothing;
                    }
                    kind => return Fill::Broken(kind),
                },
            }
        }
    }
}

/// What may be written. Room is announced only once a socket has been full: most never are. It is one byte, since every
/// client holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Something, perhaps; room would not be announced.
    New,
    /// Nothing, and room is not announced yet.
    Filled,
    /// Nothing; room will be announced.
    Full,
    /// Something, perhaps; once it is nothing, room will be announced.
    Free,
}

impl Output {
    #[inline]
    pub(super) fn may_take_something(self) -> bool {
        matches!(self, Self::New | Self::Free)
    }

    /// A write is to be tried, whatever was announced.
    #[inline]
    pub(super) fn expect_room(&mut self) {
        *self = match self {
            Self::New | Self::Filled => Self::New,
            Self::Full | Self::Free => Self::Free,
        };
    }

    fn note_full(&mut self) {
        *self = match self {
            Self::New | Self::Filled => Self::Filled,
            Self::Full | Self::Free => Self::Full,
        };
    }

    /// Whether room is to be announced from now on, and was not before.
    #[inline]
    pub(super) fn begin_watch(&mut self) -> bool {
        let is_news = *self == Self::Filled;
        if is_news {
            *self = Self::Full;
        }
        is_news
    }
}

/// Writes once, counts what the socket takes in `sent_len`, and notes whether it may take more; 0 if it takes nothing
/// now.
#[inline]
pub(super) fn write(
    stream: &mut impl Stream,
    bytes: &[u8],
    output: &mut Output,
    sent_len: &mut u64,
) -> Result<usize, CloseReason> {
    loop {
        match stream.write(bytes) {
            Ok(0) => return Err(CloseReason::Broken(ErrorKind::WriteZero)),
            Ok(written) => {
                *sent_len += written as u64;
                match written < bytes.len() && stream.short_means_blocked() {
                    true => output.note_full(),
                    false => output.expect_room(),
                }
                return Ok(written);
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => {
                    output.note_full();
                    return Ok(0);
                }
                kind => return Err(CloseReason::Broken(kind)),
            },
        }
    }
}
