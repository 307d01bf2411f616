//! A way to the broker that fails as networks do: it stalls, delays, drops what goes in one direction, and is cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Where bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    Broker,
    Node,
}

/// What becomes of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Passed,
    /// They wait until this is over.
    Stalled,
    /// They are read, and nobody gets them.
    Dropped,
    /// Each part arrives so much later.
    Delayed(Duration),
}

struct Ways {
    /// Where connections lead, one after the other.
    brokers: Vec<SocketAddr>,
    to_broker: Fate,
    to_node: Fate,
    is_closed: bool,
    is_over: bool,
    sockets: Vec<TcpStream>,
}

/// It ends with the test.
pub(crate) struct Proxy {
    addr: SocketAddr,
    ways: Arc<(Mutex<Ways>, Condvar)>,
}

impl Proxy {
    /// A way to this broker on which nothing fails yet.
    pub(crate) fn to(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let ways = Ways {
            brokers: vec![broker],
            to_broker: Fate::Passed,
            to_node: Fate::Passed,
            is_closed: false,
            is_over: false,
            sockets: Vec::new(),
        };
        let ways = Arc::new((Mutex::new(ways), Condvar::new()));
        let proxy = Self {
            addr: listener.local_addr().expect("an address"),
            ways: Arc::clone(&ways),
        };
        thread::spawn(move || accept(&listener, &ways));
        proxy
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on connections lead to this broker.
    pub(crate) fn lead_to(&self, broker: SocketAddr) {
        lock(&self.ways.0).brokers = vec![broker];
    }

    /// From now on connections lead to these brokers in turns.
    pub(crate) fn alternate(&self, brokers: [SocketAddr; 2]) {
        lock(&self.ways.0).brokers = brokers.to_vec();
    }

    /// From now on this becomes of bytes that go there, on all connections.
    pub(crate) fn set(&self, towards: Towards, fate: Fate) {
        let mut ways = lock(&self.ways.0);
        match towards {
            Towards::Broker => ways.to_broker = fate,
            Towards::Node => ways.to_node = fate,
        }
        self.ways.1.notify_all();
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        for socket in lock(&self.ways.0).sockets.drain(..) {
            // It may be over already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Ends all connections, and each new one at once.
    pub(crate) fn close(&self) {
        lock(&self.ways.0).is_closed = true;
        self.cut();
    }

    /// Connections are passed on again, and nothing fails on them.
    pub(crate) fn mend(&self) {
        lock(&self.ways.0).is_closed = false;
        self.set(Towards::Broker, Fate::Passed);
        self.set(Towards::Node, Fate::Passed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        lock(&self.ways.0).is_over = true;
        self.ways.1.notify_all();
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

fn lock(ways: &Mutex<Ways>) -> MutexGuard<'_, Ways> {
    ways.lock().expect("no thread panics")
}

fn accept(listener: &TcpListener, ways: &Arc<(Mutex<Ways>, Condvar)>) {
    for node in listener.incoming().map_while(Result::ok) {
        let (broker, is_closed) = {
            let mut ways = lock(&ways.0);
            if ways.is_over {
                return;
            }
            ways.brokers.rotate_left(1);
            (ways.brokers.last().copied(), ways.is_closed)
        };
        // Where the broker is not, the connection ends.
        let broker = broker.filter(|_| !is_closed);
        let broker = broker.and_then(|it| TcpStream::connect(it).ok());
        if let Some(broker) = broker {
            connect(&node, &broker, ways);
        }
    }
}

fn connect(node: &TcpStream, broker: &TcpStream, ways: &Arc<(Mutex<Ways>, Condvar)>) {
    let second = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    for stream in [node, broker] {
        stream.set_nodelay(true).expect("an option");
        lock(&ways.0).sockets.push(second(stream));
    }
    for (from, to, towards) in [
        (node, broker, Towards::Broker),
        (broker, node, Towards::Node),
    ] {
        let (from, to) = (second(from), second(to));
        let ways = Arc::clone(ways);
        thread::spawn(move || pass_on(from, to, towards, &ways));
    }
}

/// Passes on what goes one way, until either side ends.
fn pass_on(
    mut from: TcpStream,
    mut to: TcpStream,
    towards: Towards,
    (ways, changed): &(Mutex<Ways>, Condvar),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let fate = |ways: &Ways| match towards {
            Towards::Broker => ways.to_broker,
            Towards::Node => ways.to_node,
        };
        let is_stalled = |ways: &mut Ways| fate(ways) == Fate::Stalled && !ways.is_over;
        let ways = changed.wait_while(lock(ways), is_stalled);
        let fate = fate(&ways.expect("no thread panics"));
        if let Fate::Delayed(delay) = fate {
            thread::sleep(delay);
        }
        if fate != Fate::Dropped && to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    // Both sides see the end.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
