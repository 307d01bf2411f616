//! A real broker with the scripts, which are run as a node runs them.

#![allow(clippy::panic, reason = "a test fails at what a script answers")]

use crate::broker::{Broker, Kind};
use crate::resp::{Reply, Resp};

const APPEND: &str = include_str!("../../src/backplane/scripts/append.lua");
const TOUCH: &str = include_str!("../../src/backplane/scripts/touch.lua");
const SYNC: &str = include_str!("../../src/backplane/scripts/sync.lua");
const HEARTBEAT: &str = include_str!("../../src/backplane/scripts/heartbeat.lua");

pub(crate) const STREAM: &str = "{t}:stream";
const STATE: &str = "{t}:state";
const NODES: &str = "{t}:nodes";

/// A broker with the scripts, and a connection to it.
pub(crate) struct Scene {
    pub(crate) broker: Broker,
    pub(crate) resp: Resp,
    /// Whether scripts are run by a user who may use nothing but the keys that they are given.
    pub(crate) limits_keys: bool,
}

/// One append, with what a node that has not sent any would say.
#[derive(Clone, Copy)]
pub(crate) struct Append<'a> {
    pub(crate) room: &'a str,
    pub(crate) node: &'a str,
    pub(crate) counter: u64,
    pub(crate) previous: u64,
    pub(crate) text: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) candidate: &'a str,
    pub(crate) entries: &'a str,
}

pub(crate) const FIRST: Append<'_> = Append {
    room: "lobby",
    node: "n1",
    counter: 1,
    previous: 0,
    text: "hello",
    key: None,
    candidate: "epoch001",
    entries: "1000",
};

fn room_key(room: &str) -> String {
    format!("{{t}}:room:{room}")
}

fn node_key(node: &str) -> String {
    format!("{{t}}:node:{node}")
}

impl Scene {
    /// With a generation; `None` where no broker is installed.
    pub(crate) fn start() -> Option<Self> {
        let mut scene = Self::start_empty(Kind::Memory)?;
        scene.sync("run1", false, "0-0", "", "gen00001");
        Some(scene)
    }

    pub(crate) fn start_empty(kind: Kind) -> Option<Self> {
        let broker = Broker::start(kind)?;
        let resp = broker.connect();
        Some(Self {
            broker,
            resp,
            limits_keys: false,
        })
    }

    /// Runs a script as a node does.
    pub(crate) fn run(&mut self, script: &str, keys: &[&str], arguments: &[&str]) -> Reply {
        let sha = self.resp.ask(&["SCRIPT", "LOAD", script]).text().to_owned();
        let count = keys.len().to_string();
        let words = [&["EVALSHA", &sha, &count], keys, arguments].concat();
        if !self.limits_keys {
            return self.resp.ask(&words);
        }
        let allowed: Vec<_> = keys.iter().map(|key| format!("~{key}")).collect();
        let allowed = allowed.iter().map(String::as_str);
        let user = [
            "ACL", "SETUSER", "limited", "reset", "on", "nopass", "+@all",
        ];
        self.resp
            .ask(&user.into_iter().chain(allowed).collect::<Vec<_>>());
        let mut limited = self.broker.connect();
        limited.ask(&["AUTH", "limited", "any"]);
        limited.ask(&words)
    }

    pub(crate) fn append(&mut self, it: Append<'_>) -> Reply {
        self.append_lines(it, it.text.split('\n').count())
    }

    pub(crate) fn probe(&mut self, counter: u64) -> Reply {
        let probe = Append {
            room: "",
            counter,
            previous: counter - 1,
            text: "",
            ..FIRST
        };
        self.append_lines(probe, 0)
    }

    fn append_lines(&mut self, it: Append<'_>, count: usize) -> Reply {
        let (room, node) = (room_key(it.room), node_key(it.node));
        let key = it.key.map(|key| format!("{{t}}:key:{}:{key}", it.room));
        let mut keys = vec![STREAM, STATE, &room, &node];
        keys.extend(key.as_deref());
        let [counter, previous] = [it.counter, it.previous].map(|number| number.to_string());
        let count = count.to_string();
        let arguments = [
            it.room,
            it.node,
            &counter,
            &previous,
            &count,
            it.text,
            it.candidate,
            it.entries,
        ];
        self.run(APPEND, &keys, &arguments)
    }

    pub(crate) fn touch(&mut self, room: &str, candidate: &str) -> Reply {
        self.run(TOUCH, &[STREAM, STATE, &room_key(room)], &[candidate])
    }

    /// The generation, its start, the stream's tail.
    pub(crate) fn sync(
        &mut self,
        run: &str,
        keeps: bool,
        position: &str,
        known: &str,
        candidate: &str,
    ) -> [String; 3] {
        let keeps = if keeps { "1" } else { "0" };
        let arguments = [run, keeps, position, known, candidate];
        let reply = self.run(SYNC, &[STREAM, STATE], &arguments);
        let texts: Vec<_> = reply.texts().iter().map(ToString::to_string).collect();
        texts.try_into().expect("three texts")
    }

    pub(crate) fn heartbeat(&mut self, node: &str, patience: &str) -> Vec<String> {
        let here = format!("{{t}}:here:{node}");
        let reply = self.run(HEARTBEAT, &[NODES, &here], &[node, patience]);
        reply.texts().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn ask(&mut self, command: &str) -> Reply {
        self.resp.ask(&command.split(' ').collect::<Vec<_>>())
    }

    /// The entries of the stream: their ids, and their fields as `name=value`.
    pub(crate) fn entries(&mut self) -> Vec<(String, Vec<String>)> {
        let reply = self.resp.ask(&["XRANGE", STREAM, "-", "+"]);
        let entry = |entry: &Reply| {
            let [id, fields] = entry.list() else {
                panic!("no entry: {entry:?}")
            };
            let fields = fields.texts();
            let pairs = fields.chunks(2).map(|pair| pair.join("="));
            (id.text().to_owned(), pairs.collect())
        };
        reply.list().iter().map(entry).collect()
    }
}

/// What an append answered: the epoch and the last number, and whether it added an entry.
pub(crate) fn answered(reply: &Reply) -> (String, bool) {
    let [epoch, head, id] = reply.texts()[..] else {
        panic!("not three: {reply:?}")
    };
    (format!("{epoch}-{head}"), !id.is_empty())
}

pub(crate) fn appended(id: &str) -> (String, bool) {
    (id.to_owned(), true)
}

pub(crate) fn not_again(id: &str) -> (String, bool) {
    (id.to_owned(), false)
}
