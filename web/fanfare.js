// The browser's client of a room: one connection that comes back by itself, loses nothing and doubles nothing.
//
//     import { connect } from "https://chat.example.com/fanfare.js";
//     const room = connect("lobby", { onMessage: (text, id) => console.log(id, text) });
//     const id = await room.say("hello");
//
// Every message has an id, and each connection begins with the position before its first message. So the next
// connection goes on where the last one ended (`since`), and what the server no longer keeps is reported as a gap.
//
// A browser shows a script neither pings nor that they have stopped. The server repeats how many listen (`here=1`),
// so a connection on which nothing comes is dead. The first of these lines also marks the end of the replay: it is
// sent right behind it. Until then nothing is sent, so a line of ours that was not in the replay was not published.

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
const RETRY_HIDDEN_MS = 60_000;
// A server that drops everybody at once is not to be asked again at once: only what held is a success.
const HELD_MS = 5_000;
// How long a handshake may take, an HTTP answer, and a line of our own to come back.
const ANSWER_MS = 10_000;
// How long a connection may be silent: more than two signs of life, or one when the network or the page came back.
const SILENT_MS = 60_000;
const SILENT_AT_RETURN_MS = 30_000;
// What will not pass by itself.
const REFUSALS = [400, 401, 403, 404];
// RFC 6455 §7.4.1.
const POLICY = 1008;
// The IANA registry: what the server took may be published later, or never.
const TRY_AGAIN_LATER = 1013;

const NO_ANSWER = "the server does not answer";
const NO_ANSWER_ELSEWHERE = "the server does not answer, or not to pages of this site (--allow-origin)";
const NO_UPGRADE =
  "the server answers, but takes no WebSocket now; a proxy has to pass on the upgrade and the host";
const SILENT = "the connection fell silent";

// Whether this may be the name of a room. The default room has none: "".
export function isRoomName(name) {
  return /^[\w.~-]{1,64}$/.test(name) && name !== "." && name !== "..";
}

// Joins a room, for good. All options may be left out:
// - onMessage(text, id), onGap(count, id): `count` messages before the next are missing; null if that is unknown
// - onHere(count): how many listen, also when it is the same as before
// - onState(state, detail): "connecting"; "open" (what was missed has come); "lost" ({ reason, status, code }: it
//   tries again by itself); "refused" ({ reason, status }: it does not); "closed" (by close())
// - last: how many of the messages before to begin with; token; url: the server's, if it is not this file's, with
//   a slash at the end
//
// `say` resolves with the id once the line has come back. It rejects with an error whose `unsent` is true if the
// line was not published, and false if that cannot be known; `code` is that of the close frame. Nothing is sent twice,
// and nothing is kept to be sent later: without a connection `say` rejects at once, and one is attempted.
export function connect(room = "", options = {}) {
  if (room !== "" && !isRoomName(room)) {
    throw new RangeError("a room's name is 1 to 64 of A-Z a-z 0-9 . _ ~ -");
  }
  const connection = new Connection(room, options);
  return { say: (text) => connection.say(text), close: () => connection.close() };
}

class Connection {
  #room;
  #options;
  #socket = null; // none between two attempts
  #position = null; // the id of the last message
  #hasCaughtUp = false;
  #unconfirmed = []; // what was sent and has not come back, oldest first
  #isUncertain = false; // whether some of it may be among messages that are missing, or still on its way
  #lost = {}; // how the last connection ended
  #attempts = 0; // since a connection that held
  #openedAt = Infinity;
  #heardAt = 0;
  #timer = 0; // of the attempt, the silence, or the wait for the next attempt
  #echoTimer = 0;
  #ending = new AbortController();

  constructor(room, options) {
    [this.#room, this.#options] = [room, options];
    const { signal } = this.#ending;
    window.addEventListener("online", () => this.#wake(), { signal });
    window.addEventListener("pageshow", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
    this.#open();
  }

  say(text) {
    if (!this.#hasCaughtUp) {
      this.#wake();
      return Promise.reject(failure({ reason: "not connected" }, true));
    }
    const sent = wellFormed(text);
    this.#socket.send(sent);
    return new Promise((resolve, reject) => {
      this.#isUncertain &&= this.#unconfirmed.length > 0;
      this.#unconfirmed.push({ line: bare(sent), resolve, reject });
      if (this.#unconfirmed.length === 1) {
        this.#awaitEcho();
      }
    });
  }

  close() {
    this.#end("closed", {});
  }

  #open() {
    const socket = new WebSocket(this.#url("ws"), "fanfare.v1");
    this.#socket = socket;
    socket.onopen = () => {
      socket.onclose = ({ code, reason }) => this.#closed(code, reason);
      this.#openedAt = this.#heardAt = Date.now();
      this.#watch();
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#explain(socket);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose({ reason: NO_ANSWER }), ANSWER_MS);
    this.#tell("onState", "connecting", {});
  }

  // Relative to this file, which a proxy may serve under a path of its own.
  #url(scheme) {
    const base = new URL(this.#options.url ?? ".", import.meta.url);
    const url = new URL(this.#room === "" ? "ws" : `ws/${this.#room}`, base);
    url.protocol = url.protocol.replace(/^(http|ws)/, scheme);
    const { last, token } = this.#options;
    const start = this.#position === null ? { last } : { since: this.#position };
    for (const [name, value] of Object.entries({ here: 1, ...start, token })) {
      if (value !== undefined) {
        url.searchParams.set(name, value);
      }
    }
    return url;
  }

  #receive(data) {
    const socket = this.#socket;
    this.#heardAt = Date.now();
    for (const line of data.split("\n")) {
      const [word, id, count] = line.split(" ", 3);
      if (word === ":here") {
        this.#catchUp();
        this.#tell("onHere", Number(id));
      } else if (word === ":gap") {
        [this.#position, this.#isUncertain] = [id, true];
        this.#tell("onGap", count === "?" ? null : Number(count), id);
      } else if (word === ":fresh" || word === ":resumed") {
        this.#position = id;
      } else if (!word.startsWith(":")) {
        const text = line.slice(word.length + 1);
        this.#position = word;
        this.#confirm(text, word);
        this.#tell("onMessage", text, word);
      }
      // Whoever was told may have closed it.
      if (this.#socket !== socket) {
        return;
      }
    }
  }

  #catchUp() {
    if (!this.#hasCaughtUp) {
      this.#hasCaughtUp = true;
      this.#giveUp(this.#unconfirmed.length);
      this.#tell("onState", "open", {});
    }
  }

  // Lines come back in the order they were sent in. Behind a gap, those before may have been in it; after an outage
  // of the broker, they may have been dropped.
  #confirm(text, id) {
    const line = bare(text);
    const at = this.#isUncertain ? this.#unconfirmed.findIndex((it) => it.line === line) : 0;
    if (this.#unconfirmed[at]?.line === line) {
      this.#giveUp(at);
      this.#unconfirmed.shift().resolve(id);
      this.#awaitEcho();
    }
  }

  #giveUp(count) {
    for (const { reject } of this.#unconfirmed.splice(0, count)) {
      reject(failure(this.#lost, !this.#isUncertain));
    }
    this.#awaitEcho();
  }

  #awaitEcho() {
    clearTimeout(this.#echoTimer);
    if (this.#unconfirmed.length > 0) {
      this.#echoTimer = setTimeout(() => this.#lose({ reason: SILENT }), ANSWER_MS);
    }
  }

  // By the wall clock, which goes on while the machine sleeps. One that was set back tells nothing.
  #watch(limit = SILENT_MS) {
    clearTimeout(this.#timer);
    const heardAt = this.#heardAt;
    const quiet = Date.now() - heardAt;
    if (quiet < 0 || quiet >= limit) {
      this.#lose({ reason: SILENT });
    } else {
      const next = () => this.#watch(this.#heardAt === heardAt ? limit : SILENT_MS);
      this.#timer = setTimeout(next, limit - quiet);
    }
  }

  // The network came back, or the page did, which may have slept, or somebody has something to say.
  #wake() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#watch(SILENT_AT_RETURN_MS);
    } else if (this.#socket?.readyState > WebSocket.OPEN) {
      // Not every browser reports what it closed while the page was put away.
      this.#lose({ reason: SILENT });
    }
    if (this.#socket === null && !this.#ending.signal.aborted) {
      this.#open();
    }
  }

  #closed(code, reason) {
    if (code === POLICY && reason === "token expired") {
      this.#end("refused", { status: 401, reason });
    } else {
      this.#lose({ code, reason: reason || "the connection was lost" });
    }
  }

  async #explain(socket) {
    const why = await ask(this.#url("http"));
    // Meanwhile somebody may have come back, and another attempt may have begun.
    if (this.#socket !== socket) {
      return;
    }
    if (REFUSALS.includes(why.status)) {
      this.#end("refused", why);
    } else {
      this.#lose(why);
    }
  }

  // Gives the connection up, or the attempt at one, and tries again later.
  #lose(why) {
    this.#drop();
    this.#lost = why;
    this.#isUncertain ||= why.code === TRY_AGAIN_LATER;
    if (Date.now() - this.#openedAt >= HELD_MS) {
      this.#attempts = 0;
    }
    this.#openedAt = Infinity;
    // All of the wait is left to chance, so that a restarted server is not met by everybody at once.
    const longest = document.hidden ? RETRY_HIDDEN_MS : Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.#open(), Math.random() * longest);
    this.#tell("onState", "lost", why);
  }

  #end(state, why) {
    if (!this.#ending.signal.aborted) {
      this.#ending.abort();
      this.#drop();
      // What became of it will not be known.
      [this.#lost, this.#isUncertain] = [{ reason: state, ...why }, true];
      this.#giveUp(this.#unconfirmed.length);
      this.#tell("onState", state, why);
    }
  }

  // One that was given up may still be alive, and is to report nothing more.
  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#echoTimer);
    if (this.#socket !== null) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }
    this.#hasCaughtUp = false;
  }

  // An error in what is told must not cost the lines behind it.
  #tell(name, ...values) {
    try {
      this.#options[name]?.(...values);
    } catch (error) {
      reportError(error);
    }
  }
}

// Why a handshake failed, which a browser tells no script: the same request without an upgrade is refused for the
// same reason, and with 426 if there is none. Without an upgrade, it may not ask to go on (`since`).
async function ask(url) {
  url.searchParams.delete("since");
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    const { status, statusText, headers } = response;
    if (!headers.get("Content-Type")?.startsWith("text/plain")) {
      // Not the server's words: a proxy in between has a page of its own, for as long as its trouble lasts.
      return { reason: `${status} ${statusText}` };
    }
    const reason = status === 426 ? NO_UPGRADE : (await response.text()).trim();
    return { status, reason };
  } catch {
    return { reason: url.origin === location.origin ? NO_ANSWER : NO_ANSWER_ELSEWHERE };
  }
}

function failure({ reason, code }, isUnsent) {
  const error = new Error(`${isUnsent ? "not published" : "perhaps not published"}: ${reason}`);
  return Object.assign(error, { unsent: isUnsent, code });
}

// The text as it is sent: lone surrogates become U+FFFD on the way, and what comes back has to be recognized.
// Not every browser has toWellFormed().
function wellFormed(text) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

// The text as it comes back: line ends are spaces, and there is no white space at the ends. The server trims
// U+0085 too, which JavaScript leaves.
function bare(text) {
  return text.replace(/[\n\r\u0085]/g, " ").trim();
}
