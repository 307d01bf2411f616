//! The poll loop around the engine: sockets, readiness, signals, the clock.
//!
//! Only this folder names `mio`, and only `clock` reads the time.

mod broker;
mod clock;
mod listen;
mod notify;
pub mod probe;
mod reload;
mod socket;
mod token;

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use tracing::info;

use crate::backplane::Backplane;
use crate::config::Config;
use crate::engine::{Accepted, Engine, Network};
use crate::http::route::Role;
use crate::id::ClientId;
use crate::time::Now;

use broker::Broker;
use clock::Clock;
use listen::Listeners;
use notify::Notifier;
pub use reload::Reload;
use token::{SIGNALS, broker_line_of, id_of, listener_of, token_of};

/// How many readiness events one poll takes in.
const EVENTS_PER_POLL: usize = 1024;

/// A listening server, not yet running.
pub struct Server {
    poll: Poll,
    listeners: Listeners,
    signals: Signals,
    /// The connections to the broker, where rooms are shared with other nodes.
    broker: Option<Broker>,
    engine: Engine<TcpStream>,
    clock: Clock,
}

impl Server {
    /// Listens as `config.network` says, or on the sockets that the service manager has passed on, for at most
    /// `client_limit` clients. SIGTERM, SIGINT and SIGHUP are waited for from here on.
    ///
    /// # Errors
    /// A line that says why, and what to do: a name that cannot be resolved, a port or a path in use or forbidden,
    /// no descriptors left.
    pub fn bind(config: Config, client_limit: usize) -> io::Result<Self> {
        // First of all, so that no descriptor of ours is taken for one that was passed on.
        let mut listeners = Listeners::bind(&config)?;
        let poll = Poll::new()?;
        listeners.register(poll.registry())?;
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        let shared = broker::start(&config, poll.registry())?;
        let mut engine = Engine::new(config, client_limit);
        let broker = shared.map(|(backplane, broker)| {
            engine.share(backplane);
            broker
        });
        Ok(Self {
            poll,
            listeners,
            signals,
            broker,
            engine,
            clock: Clock::start(),
        })
    }

    /// Where the server can be reached, in one line: URLs with the port that was picked where 0 was asked for, and
    /// paths.
    ///
    /// # Errors
    /// As the sockets say.
    pub fn describe_addrs(&self) -> io::Result<String> {
        self.listeners.describe()
    }

    /// Serves until a signal ends it and all connections are closed. At SIGHUP, `settings` are read anew. The service
    /// manager, if there is one, is told that the server is ready, that it is still alive, and that it stops.
    ///
    /// # Errors
    /// Polling failed.
    pub fn run(mut self, settings: &mut impl Reload) -> io::Result<()> {
        let mut notifier = Notifier::from_env();
        notifier.ready(&self.listeners.describe()?);
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        while !self.engine.is_shut_down() {
            let wait = self.wait().min(notifier.until_due(self.clock.running()));
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                polled => polled?,
            }
            let now = self.clock.read();
            notifier.keep_alive(self.clock.running());
            for event in &events {
                match event.token() {
                    SIGNALS => self.take_signals(now, settings, &mut notifier),
                    token => self.note_ready(token, event),
                }
            }
            self.turn(now);
        }
        Ok(())
    }

    /// How long the poll may wait for readiness.
    fn wait(&mut self) -> Duration {
        let wait = self.clock.until(self.engine.next_due());
        match shared(&mut self.broker, &mut self.engine) {
            Some((broker, backplane)) if broker.has_input(backplane) => Duration::ZERO,
            _ => wait,
        }
    }

    fn take_signals(&mut self, now: Now, settings: &mut impl Reload, notifier: &mut Notifier) {
        for signal in self.signals.pending() {
            if signal == SIGHUP {
                reload::reload(&mut self.engine, settings);
                continue;
            }
            info!(clients = self.engine.client_count(), "shutting down");
            notifier.stopping();
            self.engine.begin_shutdown(now.tick);
        }
    }

    #[inline]
    fn note_ready(&mut self, token: Token, event: &Event) {
        if let Some((role, place)) = listener_of(token) {
            self.listeners.note_ready(role, place);
            self.engine.note_acceptable(role);
        } else if let Some(line) = broker_line_of(token) {
            if let Some(broker) = &mut self.broker {
                broker.note_ready(line, event);
            }
        } else if let Some(id) = id_of(token) {
            let (readable, writable) = (event.is_readable(), event.is_writable());
            self.engine
                .note_ready(id, readable, writable, is_hung_up(event));
        }
    }

    fn turn(&mut self, now: Now) {
        let registry = self.poll.registry();
        if self.engine.is_drain_due(now.tick) {
            self.listeners.prepare_to_close(registry);
        }
        if let Some((broker, backplane)) = shared(&mut self.broker, &mut self.engine) {
            broker.before_turn(backplane, registry);
        }
        let mut network = Accepting {
            listeners: &mut self.listeners,
            registry,
        };
        self.engine.turn(&mut network, now);
        if let Some((broker, backplane)) = shared(&mut self.broker, &mut self.engine) {
            broker.after_turn(backplane, registry);
        }
        self.engine.note_turn(self.clock.since_last_read());
    }
}

/// Whether no more bytes, or none but those that are there, come from the peer. No other edge tells of it.
fn is_hung_up(event: &Event) -> bool {
    event.is_read_closed() || event.is_write_closed() || event.is_error()
}

/// What the connections to the broker are for, where there are any.
fn shared<'a>(
    broker: &'a mut Option<Broker>,
    engine: &'a mut Engine<TcpStream>,
) -> Option<(&'a mut Broker, &'a mut Backplane)> {
    broker.as_mut().zip(engine.backplane_mut())
}

/// The listeners and the poll's registry.
struct Accepting<'a> {
    listeners: &'a mut Listeners,
    registry: &'a Registry,
}

impl Network for Accepting<'_> {
    type Stream = TcpStream;

    fn accept(&mut self, role: Role) -> io::Result<Accepted<TcpStream>> {
        let (stream, peer) = self.listeners.accept(role)?;
        Ok(Accepted { stream, peer, role })
    }

    fn close_public(&mut self) {
        self.listeners.close_public(self.registry);
    }

    fn register(&mut self, stream: &mut TcpStream, id: ClientId) -> io::Result<()> {
        self.registry
            .register(stream, token_of(id), Interest::READABLE)
    }

    fn watch_output(&mut self, stream: &mut TcpStream, id: ClientId) -> io::Result<()> {
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.registry.reregister(stream, token_of(id), interests)
    }
}
