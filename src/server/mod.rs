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
    pub fn run(self, settings: &mut impl Reload) -> io::Result<()> {
        let Self {
            mut poll,
            mut listeners,
            mut signals,
            mut broker,
            mut engine,
            mut clock,
        } = self;
        let mut notifier = Notifier::from_env();
        notifier.ready(&listeners.describe()?);
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        while !engine.is_shut_down() {
            let wait = clock.until(engine.next_due());
            let wait = match shared(&mut broker, &mut engine) {
                Some((broker, backplane)) if broker.has_input(backplane) => Duration::ZERO,
                _ => wait,
            };
            let wait = wait.min(notifier.until_due(clock.running()));
            match poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                polled => polled?,
            }
            let now = clock.read();
            notifier.keep_alive(clock.running());
            for event in &events {
                match event.token() {
                    SIGNALS => {
                        for signal in signals.pending() {
                            if signal == SIGHUP {
                                reload::reload(&mut engine, settings);
                                continue;
                            }
                            info!(clients = engine.client_count(), "shutting down");
                            notifier.stopping();
                            engine.begin_shutdown(now.tick);
                        }
                    }
                    token => {
                        if let Some((role, place)) = listener_of(token) {
                            listeners.note_ready(role, place);
                            engine.note_acceptable(role);
                        } else if let Some(line) = broker_line_of(token) {
                            if let Some(broker) = &mut broker {
                                broker.note_ready(line, event);
                            }
                        } else {
                            note_ready(&mut engine, token, event);
                        }
                    }
                }
            }
            if engine.is_drain_due(now.tick) {
                listeners.prepare_to_close(poll.registry());
            }
            if let Some((broker, backplane)) = shared(&mut broker, &mut engine) {
                broker.before_turn(backplane, poll.registry());
            }
            let mut network = Accepting {
                listeners: &mut listeners,
                registry: poll.registry(),
            };
            engine.turn(&mut network, now);
            if let Some((broker, backplane)) = shared(&mut broker, &mut engine) {
                broker.after_turn(backplane, poll.registry());
            }
            engine.note_turn(clock.since_last_read());
        }
        Ok(())
    }
}

/// What the connections to the broker are for, where there are any.
fn shared<'a>(
    broker: &'a mut Option<Broker>,
    engine: &'a mut Engine<TcpStream>,
) -> Option<(&'a mut Broker, &'a mut Backplane)> {
    broker.as_mut().zip(engine.backplane_mut())
}

fn note_ready(engine: &mut Engine<TcpStream>, token: Token, event: &Event) {
    if let Some(id) = id_of(token) {
        let is_hung_up = event.is_read_closed() || event.is_write_closed() || event.is_error();
        engine.note_ready(id, event.is_readable(), event.is_writable(), is_hung_up);
    }
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
        self.registry.register(
            stream,
            token_of(id),
            Interest::READABLE | Interest::WRITABLE,
        )
    }
}
