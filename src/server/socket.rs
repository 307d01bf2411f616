//! The sockets of clients.

use std::io;
use std::net::Shutdown;

use mio::net::TcpStream;

use crate::client::{Client, Stream};

/// Besides this, an idle client costs its place among the members and its entry in the deadlines, 8 bytes
/// each. Sockets of debug builds are larger.
const _: () = assert!(cfg!(debug_assertions) || size_of::<Client<TcpStream>>() <= 88);

impl Stream for TcpStream {
    // A peer of a Unix socket that passes descriptors along, which the kernel closes unseen, makes reads short. What it
    // sent behind them is read with its next bytes, or when its deadline comes; it keeps nobody else waiting.
    //
    // With epoll (see its manual's questions and answers), and with kqueue, what comes or becomes free
    // afterwards is a new edge.
    #[inline]
    fn short_means_blocked(&self) -> bool {
        cfg!(unix)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
