//! A made-up broker: bytes in, bytes out, time as an argument. It knows the commands that a node sends and the four
//! scripts, which it runs in Rust, and it has faults: cuts, stalls, lost answers, trims, flushes, restarts, failovers.

#![allow(dead_code, reason = "each test uses a part of this module")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a node sends is known"
)]

use std::collections::{BTreeMap, HashSet, VecDeque};

type Bytes = Vec<u8>;
type EntryId = (u64, u64);
/// Name, text and hash.
type Script = (&'static str, &'static str, String);

const RING_LEN: u64 = 1024;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// All that the broker keeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    stream: VecDeque<(EntryId, Vec<Bytes>)>,
    last_id: EntryId,
    hashes: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    texts: BTreeMap<Bytes, Bytes>,
    nodes: BTreeMap<Bytes, u64>,
    expiries: BTreeMap<Bytes, u64>,
}

#[derive(Debug)]
struct Blocked {
    after: EntryId,
    count: usize,
    stream: Bytes,
    until: u64,
}

#[derive(Debug, Default)]
struct Peer {
    input: Bytes,
    output: VecDeque<u8>,
    blocked: Option<Blocked>,
    is_cut: bool,
    is_known: bool,
}

/// The broker.
#[derive(Debug)]
pub(crate) struct Broker {
    kept: Snapshot,
    scripts: [Script; 4],
    loaded: HashSet<String>,
    peers: Vec<Peer>,
    /// Wall time, in milliseconds.
    now: u64,
    /// Ids are not given again after a flush: a real broker's clock has gone on by then.
    id_floor: u64,
    run: u64,
    is_stalled: bool,
    chance: u64,
    /// What `INFO` tells.
    pub(crate) has_log: bool,
    pub(crate) is_promoted: bool,
    pub(crate) is_replica: bool,
    /// The password that `AUTH` takes, if one is needed.
    pub(crate) password: Option<String>,
    /// Commands that were carried out, by name.
    pub(crate) counts: BTreeMap<String, u64>,
    /// The fields of all entries that were ever added, for a test that takes them.
    pub(crate) added: Vec<Vec<Bytes>>,
}

impl Broker {
    pub(crate) fn new(seed: u64, scripts: [Script; 4]) -> Self {
        Self {
            kept: Snapshot::default(),
            scripts,
            loaded: HashSet::new(),
            peers: Vec::new(),
            now: 0,
            id_floor: 0,
            run: seed.wrapping_mul(1000),
            is_stalled: false,
            chance: seed,
            has_log: true,
            is_promoted: false,
            is_replica: false,
            password: None,
            counts: BTreeMap::new(),
            added: Vec::new(),
        }
    }

    // ---- connections

    /// A new connection.
    pub(crate) fn connect(&mut self) -> usize {
        let is_known = self.password.is_none();
        self.peers.push(Peer {
            is_known,
            ..Peer::default()
        });
        self.peers.len() - 1
    }

    /// Takes bytes from a connection; those to one that is cut get lost.
    pub(crate) fn receive(&mut self, peer: usize, bytes: &[u8]) {
        if !self.peers[peer].is_cut {
            self.peers[peer].input.extend_from_slice(bytes);
            self.run_commands();
        }
    }

    /// Gives up to so many bytes to a connection.
    pub(crate) fn send(&mut self, peer: usize, max: usize) -> Bytes {
        let output = &mut self.peers[peer].output;
        let len = output.len().min(max);
        output.drain(..len).collect()
    }

    /// Whether a connection was cut. What it was to get is lost.
    pub(crate) fn is_cut(&self, peer: usize) -> bool {
        self.peers[peer].is_cut
    }

    /// Time goes on.
    pub(crate) fn advance(&mut self, unix_ms: u64) {
        self.now = self.now.max(unix_ms);
        let now = self.now;
        for peer in &mut self.peers {
            let is_over = |blocked: &mut Blocked| blocked.until <= now;
            if !self.is_stalled && peer.blocked.take_if(is_over).is_some() {
                peer.output.extend(b"*-1\r\n");
            }
        }
        self.run_commands();
    }

    /// The clock is another one, which may be late.
    pub(crate) fn set_clock(&mut self, unix_ms: u64) {
        self.now = unix_ms;
    }

    /// When a blocked reader is answered.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let blocked = self.peers.iter().filter_map(|peer| peer.blocked.as_ref());
        blocked.map(|blocked| blocked.until).min()
    }

    // ---- faults

    /// Cuts a connection. The answers that are under way are lost; whether commands are that were not carried out yet is
    /// a matter of chance.
    pub(crate) fn cut(&mut self, peer: usize) {
        let keeps_commands = self.is_stalled && self.flip();
        let peer = &mut self.peers[peer];
        peer.is_cut = true;
        peer.output.clear();
        peer.blocked = None;
        if !keeps_commands {
            peer.input.clear();
        }
    }

    pub(crate) fn cut_all(&mut self) {
        (0..self.peers.len()).for_each(|peer| self.cut(peer));
    }

    /// Nothing is answered, until it is called with `false`.
    pub(crate) fn stall(&mut self, is_stalled: bool) {
        self.is_stalled = is_stalled;
        self.run_commands();
    }

    /// Only the last entries stay.
    pub(crate) fn trim(&mut self, entries: usize) {
        let stream = &mut self.kept.stream;
        stream.drain(..stream.len().saturating_sub(entries));
    }

    /// `FLUSHALL`.
    pub(crate) fn flush_all(&mut self) {
        self.id_floor = self.kept.last_id.0 + 1;
        self.kept = Snapshot::default();
    }

    /// `SCRIPT FLUSH`.
    pub(crate) fn flush_scripts(&mut self) {
        self.loaded.clear();
    }

    /// Starts again with all that it had.
    pub(crate) fn restart(&mut self) {
        self.cut_all();
        self.peers.iter_mut().for_each(|peer| peer.input.clear());
        self.loaded.clear();
        self.run += 1;
    }

    /// Whether a node has agreed on a generation with this run of it, which is written down.
    pub(crate) fn is_run_known(&self) -> bool {
        let run = self.run_id();
        let mut hashes = self.kept.hashes.values();
        hashes.any(|fields| fields.get(&b"run"[..]) == Some(&run))
    }

    fn run_id(&self) -> Bytes {
        format!("{:040x}", self.run).into_bytes()
    }

    /// What is kept, for a failover to it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.kept.clone()
    }

    /// A replica that had only this is promoted.
    pub(crate) fn fail_over_to(&mut self, snapshot: Snapshot) {
        self.restart();
        self.kept = snapshot;
        self.is_promoted = true;
    }

    /// Appends an entry that no script made.
    pub(crate) fn add(&mut self, stream: &str, fields: &[&[u8]]) {
        let fields = fields.iter().map(|field| field.to_vec()).collect();
        self.add_entry(stream.as_bytes(), fields);
        self.wake();
    }

    /// The texts of all messages in the stream.
    pub(crate) fn texts(&self) -> Vec<String> {
        let messages = self
            .kept
            .stream
            .iter()
            .filter(|(_, fields)| fields.len() == 12);
        let texts = messages.map(|(_, fields)| String::from_utf8_lossy(&fields[11]).into_owned());
        texts
            .flat_map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// How many entries the stream has.
    pub(crate) fn len(&self) -> usize {
        self.kept.stream.len()
    }

    fn flip(&mut self) -> bool {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.chance >> 63 == 1
    }

    // ---- commands

    fn run_commands(&mut self) {
        while !self.is_stalled && self.run_round() {}
    }

    /// Carries out one command of each connection. Whether there was one.
    fn run_round(&mut self) -> bool {
        let mut has_run = false;
        for index in 0..self.peers.len() {
            let peer = &mut self.peers[index];
            if peer.blocked.is_some() {
                continue;
            }
            let Some((command, len)) = parse_command(&peer.input) else {
                continue;
            };
            peer.input.drain(..len);
            has_run = true;
            let reply = self.run(index, &command);
            if !self.peers[index].is_cut {
                self.peers[index].output.extend(reply);
            }
            self.wake();
        }
        has_run
    }

    fn run(&mut self, peer: usize, command: &[Bytes]) -> Bytes {
        let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let name = String::from_utf8_lossy(args[0]).into_owned();
        *self.counts.entry(name.clone()).or_default() += 1;
        self.expire();
        if !self.peers[peer].is_known && name != "AUTH" {
            return error("NOAUTH Authentication required.");
        }
        match name.as_str() {
            "AUTH" => self.auth(peer, args[args.len() - 1]),
            "SELECT" => b"+OK\r\n".to_vec(),
            "CONFIG" => array([bulk(args[2]), bulk(b"always")].into_iter()),
            "INFO" => self.info(args[1]),
            "SCRIPT" => self.load(args[2]),
            "EVALSHA" => self.call(&args),
            "XREAD" => self.read(peer, &args),
            "XDEL" => self.delete(&args),
            "HSET" => self.set_fields(&args),
            "HDEL" => self.delete_fields(&args),
            "HMGET" => self.fields(&args),
            "DEL" => int(u64::from(self.kept.hashes.remove(args[1]).is_some())),
            "PEXPIRE" => self.expire_in(args[1], number(args[2])),
            _ => error(&format!("ERR unknown command '{name}'")),
        }
    }

    fn auth(&mut self, peer: usize, password: &[u8]) -> Bytes {
        if self
            .password
            .as_ref()
            .is_some_and(|good| good.as_bytes() != password)
        {
            return error("WRONGPASS invalid username-password pair or user is disabled.");
        }
        self.peers[peer].is_known = true;
        b"+OK\r\n".to_vec()
    }

    fn info(&self, section: &[u8]) -> Bytes {
        let text = match section {
            b"server" => format!(
                "# Server\r\nredis_version:7.0.15\r\nrun_id:{}\r\n",
                String::from_utf8_lossy(&self.run_id())
            ),
            b"persistence" => format!(
                "# Persistence\r\naof_enabled:{}\r\n",
                u8::from(self.has_log)
            ),
            _ => {
                let role = if self.is_replica { "slave" } else { "master" };
                let offset = if self.is_promoted { "1" } else { "-1" };
                format!("# Replication\r\nrole:{role}\r\nsecond_repl_offset:{offset}\r\n")
            }
        };
        bulk(text.as_bytes())
    }

    fn load(&mut self, text: &[u8]) -> Bytes {
        let mut scripts = self.scripts.iter();
        let (_, _, hash) = scripts
            .find(|(_, known, _)| known.as_bytes() == text)
            .unwrap();
        self.loaded.insert(hash.clone());
        bulk(hash.as_bytes())
    }

    fn call(&mut self, args: &[&[u8]]) -> Bytes {
        let hash = String::from_utf8_lossy(args[1]).into_owned();
        if !self.loaded.contains(&hash) {
            return error("NOSCRIPT No matching script. Please use EVAL.");
        }
        let mut scripts = self.scripts.iter();
        let (name, ..) = *scripts.find(|(_, _, known)| *known == hash).unwrap();
        *self.counts.entry(name.to_owned()).or_default() += 1;
        let (keys, argv) = args[3..].split_at(number(args[2]) as usize);
        let result = match name {
            "append" => self.append(keys, argv),
            "touch" => self.touch(keys, argv),
            "sync" => Ok(self.sync(keys, argv)),
            _ => Ok(self.heartbeat(keys, argv)),
        };
        match result {
            Ok(parts) => array(parts.iter().map(|part| bulk(part))),
            Err(code) => error(code),
        }
    }

    fn delete(&mut self, args: &[&[u8]]) -> Bytes {
        let id = entry_id(args[2]);
        let before = self.kept.stream.len();
        self.kept.stream.retain(|(entry, _)| *entry != id);
        int((before - self.kept.stream.len()) as u64)
    }

    fn set_fields(&mut self, args: &[&[u8]]) -> Bytes {
        let hash = self.kept.hashes.entry(args[1].to_vec()).or_default();
        for pair in args[2..].chunks(2) {
            hash.insert(pair[0].to_vec(), pair[1].to_vec());
        }
        int(1)
    }

    fn delete_fields(&mut self, args: &[&[u8]]) -> Bytes {
        let hash = self.kept.hashes.entry(args[1].to_vec()).or_default();
        args[2..].iter().for_each(|field| _ = hash.remove(*field));
        int(1)
    }

    fn fields(&self, args: &[&[u8]]) -> Bytes {
        let hash = self.kept.hashes.get(args[1]);
        array(args[2..].iter().map(|field| {
            let value = hash.and_then(|hash| hash.get(*field));
            value.map_or(b"$-1\r\n".to_vec(), |value| bulk(value))
        }))
    }

    fn expire_in(&mut self, key: &[u8], wait: u64) -> Bytes {
        self.kept.expiries.insert(key.to_vec(), self.now + wait);
        int(1)
    }

    fn expire(&mut self) {
        let now = self.now;
        let kept = &mut self.kept;
        let (hashes, texts) = (&mut kept.hashes, &mut kept.texts);
        kept.expiries.retain(|key, due| {
            if *due <= now {
                hashes.remove(key);
                texts.remove(key);
            }
            *due > now
        });
    }

    // ---- the stream

    fn add_entry(&mut self, _stream: &[u8], fields: Vec<Bytes>) -> EntryId {
        let (last_ms, last_seq) = self.kept.last_id;
        let ms = self.now.max(self.id_floor);
        let id = if ms > last_ms {
            (ms, 0)
        } else {
            (last_ms, last_seq + 1)
        };
        self.kept.last_id = id;
        self.added.push(fields.clone());
        self.kept.stream.push_back((id, fields));
        id
    }

    fn read(&mut self, peer: usize, args: &[&[u8]]) -> Bytes {
        let place = |name: &[u8]| args.iter().position(|arg| *arg == name);
        let count = number(args[place(b"COUNT").unwrap() + 1]) as usize;
        let streams = place(b"STREAMS").unwrap();
        let (stream, after) = (args[streams + 1], entry_id(args[streams + 2]));
        if let Some(reply) = self.entries(stream, after, count) {
            return reply;
        }
        let Some(block) = place(b"BLOCK") else {
            return b"*-1\r\n".to_vec();
        };
        self.peers[peer].blocked = Some(Blocked {
            after,
            count,
            stream: stream.to_vec(),
            until: self.now + number(args[block + 1]),
        });
        Bytes::new()
    }

    fn entries(&self, stream: &[u8], after: EntryId, count: usize) -> Option<Bytes> {
        let found = self
            .kept
            .stream
            .iter()
            .filter(|(id, _)| *id > after)
            .take(count);
        let entries: Vec<_> = found
            .map(|(id, fields)| {
                let fields = array(fields.iter().map(|field| bulk(field)));
                array([bulk(&shown(*id)), fields].into_iter())
            })
            .collect();
        let entries = (!entries.is_empty()).then(|| array(entries.into_iter()))?;
        Some(array(
            [array([bulk(stream), entries].into_iter())].into_iter(),
        ))
    }

    /// Answers blocked readers that have something to read now.
    fn wake(&mut self) {
        for index in 0..self.peers.len() {
            let Some(blocked) = &self.peers[index].blocked else {
                continue;
            };
            if let Some(reply) = self.entries(&blocked.stream, blocked.after, blocked.count) {
                self.peers[index].blocked = None;
                self.peers[index].output.extend(reply);
            }
        }
    }

    // ---- the scripts

    fn field(&self, key: &[u8], field: &[u8]) -> Option<Bytes> {
        self.kept.hashes.get(key)?.get(field).cloned()
    }

    fn set(&mut self, key: &[u8], field: &[u8], value: &[u8]) {
        let hash = self.kept.hashes.entry(key.to_vec()).or_default();
        hash.insert(field.to_vec(), value.to_vec());
    }

    fn append(&mut self, keys: &[&[u8]], argv: &[&[u8]]) -> Result<Vec<Bytes>, &'static str> {
        let [stream, state, room, node, ..] = *keys else {
            panic!("{keys:?}")
        };
        let [
            name,
            node_name,
            counter,
            previous,
            count,
            text,
            candidate,
            entries,
        ] = *argv
        else {
            panic!("{argv:?}")
        };
        let generation = self.field(state, b"generation").ok_or("UNSYNCED")?;
        let (place, counter_number) = ((number(counter) % RING_LEN).to_string(), number(counter));
        let known = self.field(node, place.as_bytes()).unwrap_or_default();
        let mut known = known.split(|byte| *byte == b' ').map(<[u8]>::to_vec);
        if known.next().as_deref() == Some(counter) {
            return Ok(vec![
                known.next().unwrap(),
                known.next().unwrap(),
                Bytes::new(),
            ]);
        }
        let last = self.field(node, b"last").map(|last| number(&last));
        if last.is_some_and(|last| last < number(previous)) {
            return Err("EARLY");
        }
        // It was given up and overtaken, or is so old that the ring has forgotten it.
        if last.is_some_and(|last| counter_number <= last) {
            return Err("LATE");
        }
        let answer = if let Some(id) = keys.get(4).and_then(|key| self.kept.texts.get(*key)) {
            let [epoch, seq] = [&id[..8], &id[9..]].map(<[u8]>::to_vec);
            vec![epoch, seq, Bytes::new()]
        } else if count == b"0" {
            let origin = [node_name, b" ", counter].concat();
            let id = self.add_entry(stream, vec![b"p".to_vec(), origin]);
            vec![Bytes::new(), b"0".to_vec(), shown(id)]
        } else {
            let epoch = self.live(room, &generation, candidate);
            let head = number(&self.field(room, b"head").unwrap());
            let lines = text.split(|byte| *byte == b'\n').count();
            assert_eq!(lines as u64, number(count), "{text:?}");
            let (first, head) = (decimal(head + 1), decimal(head + number(count)));
            let origin = [node_name, b" ", counter].concat();
            let fields: [&[u8]; 12] = [
                b"r", name, b"e", &epoch, b"f", &first, b"c", count, b"o", &origin, b"t", text,
            ];
            let id = self.add_entry(stream, fields.map(<[u8]>::to_vec).to_vec());
            self.trim(number(entries) as usize);
            self.set(room, b"head", &head);
            self.expire_in(room, 7 * DAY);
            vec![epoch, head, shown(id)]
        };
        if let Some(key) = keys.get(4) {
            let id = [&answer[0][..], b"-", &answer[1]].concat();
            if self.kept.texts.insert(key.to_vec(), id).is_none() {
                self.expire_in(key, 300_000);
            }
        }
        let noted = [counter, b" ", &answer[0], b" ", &answer[1]].concat();
        self.set(node, place.as_bytes(), &noted);
        let last = last.unwrap_or(0).max(counter_number);
        self.set(node, b"last", &decimal(last));
        self.expire_in(node, HOUR);
        Ok(answer)
    }

    /// The epoch of a room, which is made if it has none of this generation.
    fn live(&mut self, room: &[u8], generation: &[u8], candidate: &[u8]) -> Bytes {
        if self.field(room, b"generation").as_deref() != Some(generation) {
            self.set(room, b"generation", generation);
            self.set(room, b"epoch", candidate);
            self.set(room, b"head", b"0");
            self.expire_in(room, DAY);
        }
        self.field(room, b"epoch").unwrap()
    }

    fn touch(&mut self, keys: &[&[u8]], argv: &[&[u8]]) -> Result<Vec<Bytes>, &'static str> {
        let [_, state, room] = *keys else {
            panic!("{keys:?}")
        };
        let generation = self.field(state, b"generation").ok_or("UNSYNCED")?;
        let epoch = self.live(room, &generation, argv[0]);
        Ok(vec![epoch, self.field(room, b"head").unwrap(), self.tail()])
    }

    /// The last entry that there is.
    fn tail(&self) -> Bytes {
        shown(self.kept.stream.back().map_or((0, 0), |(id, _)| *id))
    }

    fn sync(&mut self, keys: &[&[u8]], argv: &[&[u8]]) -> Vec<Bytes> {
        let [run, keeps, position, known, candidate] = *argv else {
            panic!("{argv:?}")
        };
        let state = keys[1];
        let generation = self.field(state, b"generation");
        let is_other_run = self.field(state, b"run").is_some_and(|last| last != run);
        let is_ahead =
            generation.as_deref() == Some(known) && entry_id(position) > self.kept.last_id;
        if generation.is_none() || is_other_run && keeps == b"0" || is_ahead {
            let start = shown(self.kept.last_id);
            self.set(state, b"generation", candidate);
            self.set(state, b"start", &start);
        }
        self.set(state, b"run", run);
        let field = |field: &[u8]| self.field(state, field).unwrap();
        vec![field(b"generation"), field(b"start"), self.tail()]
    }

    fn heartbeat(&mut self, keys: &[&[u8]], argv: &[&[u8]]) -> Vec<Bytes> {
        let (node, ttl) = (argv[0], number(argv[1]));
        self.kept.nodes.insert(node.to_vec(), self.now);
        let now = self.now;
        self.kept.nodes.retain(|_, at| *at + ttl > now);
        if self.kept.hashes.contains_key(keys[1]) {
            self.expire_in(keys[1], ttl);
        }
        self.kept
            .nodes
            .keys()
            .filter(|other| *other != node)
            .cloned()
            .collect()
    }
}

/// A whole command and its length.
pub(crate) fn parse_command(bytes: &[u8]) -> Option<(Vec<Bytes>, usize)> {
    let mut at = 0;
    let count = header(bytes, b'*', &mut at)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let len = header(bytes, b'$', &mut at)?;
        parts.push(bytes.get(at..at + len)?.to_vec());
        assert_eq!(bytes.get(at + len..at + len + 2)?, b"\r\n");
        at += len + 2;
    }
    Some((parts, at))
}

fn header(bytes: &[u8], kind: u8, at: &mut usize) -> Option<usize> {
    let rest = bytes.get(*at..)?;
    let end = rest.windows(2).position(|end| end == b"\r\n")?;
    assert_eq!(rest[0], kind, "{:?}", String::from_utf8_lossy(rest));
    *at += end + 2;
    Some(number(&rest[1..end]) as usize)
}

fn number(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

fn decimal(number: u64) -> Bytes {
    number.to_string().into_bytes()
}

fn entry_id(text: &[u8]) -> EntryId {
    let mut parts = text.split(|byte| *byte == b'-').map(number);
    (parts.next().unwrap(), parts.next().unwrap())
}

fn shown((ms, seq): EntryId) -> Bytes {
    format!("{ms}-{seq}").into_bytes()
}

pub(crate) fn bulk(text: &[u8]) -> Bytes {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

pub(crate) fn array(items: impl Iterator<Item = Bytes>) -> Bytes {
    let items: Vec<_> = items.collect();
    [format!("*{}\r\n", items.len()).into_bytes(), items.concat()].concat()
}

fn int(number: u64) -> Bytes {
    format!(":{number}\r\n").into_bytes()
}

fn error(reason: &str) -> Bytes {
    format!("-{reason}\r\n").into_bytes()
}
