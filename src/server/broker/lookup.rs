//! The addresses of the broker, tried one after the other. A name is looked up by a thread of its own: the system's
//! resolver blocks, for half a minute where no name server answers, and the loop must not.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use mio::Waker;

use crate::config::ADDRESSES_PER_NAME_MAX;

/// A host and a port, and what is known of where they are.
pub(super) struct Lookup {
    host: String,
    port: u16,
    /// Ends the poll when the thread has found something.
    waker: Arc<Waker>,
    state: State,
}

enum State {
    /// These have not been tried yet.
    Known(VecDeque<SocketAddr>),
    /// The thread runs, or its answer was not taken yet.
    Running(Receiver<io::Result<Vec<SocketAddr>>>),
}

/// Where to connect next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The waker tells when that is known.
    NotYet,
    Addr(SocketAddr),
    /// Nowhere, for a reason in plain words.
    Nowhere(String),
}

impl Lookup {
    pub(super) fn new(host: String, port: u16, waker: Arc<Waker>) -> Self {
        Self {
            host,
            port,
            waker,
            state: State::Known(VecDeque::new()),
        }
    }

    /// One that has found these.
    #[cfg(test)]
    pub(super) fn knowing(addrs: &[SocketAddr], other: &Self) -> Self {
        Self {
            host: other.host.clone(),
            port: other.port,
            waker: Arc::clone(&other.waker),
            state: State::Known(addrs.iter().copied().collect()),
        }
    }

    /// An attempt to connect begins. What an earlier one has not tried is used first, and a lookup that still runs is
    /// waited for.
    pub(super) fn begin(&mut self) -> Found {
        if let State::Known(addrs) = &self.state
            && addrs.is_empty()
        {
            let Ok(ip) = self.host.parse::<IpAddr>() else {
                return match self.spawn() {
                    Ok(answer) => {
                        self.state = State::Running(answer);
                        Found::NotYet
                    }
                    Err(error) => nowhere(&error),
                };
            };
            return Found::Addr((ip, self.port).into());
        }
        self.next()
    }

    fn spawn(&self) -> io::Result<Receiver<io::Result<Vec<SocketAddr>>>> {
        let (told, answer) = mpsc::channel();
        let (host, port) = (self.host.clone(), self.port);
        let waker = Arc::clone(&self.waker);
        let look_up = move || {
            let addrs = (host.as_str(), port).to_socket_addrs();
            let addrs = addrs.map(|addrs| addrs.take(ADDRESSES_PER_NAME_MAX).collect());
            // Both fail only where the server is gone.
            let _ = told.send(addrs);
            let _ = waker.wake();
        };
        thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(look_up)?;
        Ok(answer)
    }

    /// The next address of this attempt.
    pub(super) fn next(&mut self) -> Found {
        if let State::Running(answer) = &self.state {
            let found = match answer.try_recv() {
                Err(TryRecvError::Empty) => return Found::NotYet,
                Err(TryRecvError::Disconnected) => Err(io::Error::other("the lookup failed")),
                Ok(found) => found,
            };
            let (addrs, error) = match found {
                Ok(addrs) => (VecDeque::from(addrs), None),
                Err(error) => (VecDeque::new(), Some(error)),
            };
            self.state = State::Known(addrs);
            if let Some(error) = error {
                return nowhere(&error);
            }
        }
        match &mut self.state {
            State::Known(addrs) => match addrs.pop_front() {
                Some(addr) => Found::Addr(addr),
                None => Found::Nowhere("the name has no address".to_owned()),
            },
            State::Running(_) => Found::NotYet,
        }
    }

    /// Whether this attempt may still go elsewhere.
    pub(super) fn has_more(&self) -> bool {
        matches!(&self.state, State::Known(addrs) if !addrs.is_empty())
    }

    /// A connection was made. The next outage may be a move to other addresses.
    pub(super) fn forget(&mut self) {
        if let State::Known(addrs) = &mut self.state {
            addrs.clear();
        }
    }
}

fn nowhere(error: &io::Error) -> Found {
    // The standard library puts the same words before each of the resolver's.
    let words = error.to_string();
    let reason = words.rsplit(": ").next().unwrap_or(&words);
    Found::Nowhere(format!("the name cannot be looked up: {reason}"))
}
