// The connection: it comes back when it is lost, and is probed when it is quiet.
//
// A browser shows a script neither the server's pings nor that they have stopped, so a quiet room and a dead
// connection look alike. Two questions tell them apart. Does the server still answer a request? And, more
// rarely, since it costs the server a client: is this connection still in the room? To find out, a second
// connection, the relief, joins beside the first. From then on both are due the same messages. If the first
// receives one, it is alive, and the relief leaves without having shown anything. If the first stays silent,
// the relief takes its place and shows what it has received. So nothing is published to find out, and
// nothing is shown twice or left out.

const state = document.getElementById("state");

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
const RETRY_HIDDEN_MS = 60_000;
// A server that drops everybody at once is not to be asked again at once: only what held is a success.
const HELD_MS = 5_000;
// How long a server may take to answer a handshake or a request, and a message to arrive.
const ANSWER_WAIT_MS = 10_000;
// A connection that was quiet for so long is probed. The members of a room grow quiet together, so they are
// spread over some more time.
const QUIET_MS = 30_000;
const QUIET_SPREAD_MS = 10_000;
// One that was quiet for so long is relieved, however well the server answers.
const RELIEVE_MS = 300_000;
// The network or the page came back: a connection that received something just now is fine.
const FRESH_MS = 5_000;
// What a relief keeps, in frames; a log shows no more lines than this.
const KEPT_MAX = 2000;

let listener;
// Null while there is neither a connection nor an attempt at one.
let socket = null;
let attempts = 0;
let openedAt = Infinity;
let receivedAt = 0;
let retryTimer = 0;
let openTimer = 0;

// Connects, for good, and calls what it is given: opened(), received(lines), lost(closeCode), replaced() when
// messages may be missing although the page stayed connected, and limited(limits) with the server's limits.
export function start(its) {
  listener = its;
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", wake);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      wake();
    }
  });
  connect();
}

// Sends a message. False if there is no connection; then one is attempted.
export function send(text) {
  if (socket?.readyState === WebSocket.OPEN) {
    socket.send(text);
    return true;
  }
  connectIfWanted();
  return false;
}

export function show(name, text) {
  state.dataset.state = name;
  // What is written again is read aloud again.
  if (state.textContent !== text) {
    state.textContent = text;
  }
}

function connect() {
  clearTimeout(retryTimer);
  if (attempts === 0) {
    show("connecting", "Connecting …");
  }
  openTimer = setTimeout(lose, ANSWER_WAIT_MS);
  socket = openSocket();
  socket.onopen = greet;
  listen();
}

// Relative to the page, which a proxy may serve under a path of its own.
function openSocket() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url);
}

function listen() {
  socket.onmessage = (event) => receive(event.data);
  socket.onclose = (event) => lose(event.code);
}

function greet() {
  clearTimeout(openTimer);
  openedAt = Date.now();
  receivedAt = openedAt;
  isSuspect = false;
  show("open", "Connected");
  listener.opened();
  watch();
  learnLimits();
}

function receive(text) {
  receivedAt = Date.now();
  dismissRelief();
  listener.received(text.split("\n"));
}

// Gives the connection up, or the attempt at one.
export function lose(code = 0) {
  clearTimeout(openTimer);
  clearTimeout(quietTimer);
  silence(socket);
  socket = null;
  if (relief?.readyState === WebSocket.OPEN) {
    listener.replaced();
    takeOver();
    listener.lost(code);
    return;
  }
  dismissRelief();
  if (Date.now() - openedAt >= HELD_MS) {
    attempts = 0;
  }
  openedAt = Infinity;
  listener.lost(code);
  show("lost", "Not connected, trying again …");
  connectLater();
}

// One that was given up may still be alive, and is to report nothing more.
function silence(it) {
  it.onopen = null;
  it.onmessage = null;
  it.onclose = null;
  it.close();
}

function connectLater() {
  const longest = document.hidden ? RETRY_HIDDEN_MS : Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempts);
  attempts += 1;
  // Half of the wait is left to chance, so that a restarted server is not met by everybody at once.
  retryTimer = setTimeout(connectIfWanted, longest / 2 + (Math.random() * longest) / 2);
}

function connectIfWanted() {
  if (socket === null) {
    connect();
  }
}

// The network came back, or the page did, which may have slept.
function wake() {
  if (socket?.readyState === WebSocket.OPEN) {
    if (quietFor() >= FRESH_MS) {
      isSuspect = true;
      probe();
    }
  } else if (socket?.readyState > WebSocket.OPEN) {
    // Not every browser reports what it closed while the page was put away.
    lose();
    connectIfWanted();
  } else {
    connectIfWanted();
  }
}

// Whether a quiet connection is alive.

let quietTimer = 0;
// The connection that is being probed.
let probed = null;
// Whether an answer is not enough: it shows that the server is there, not that it still knows this
// connection, which it may have given up while the page slept.
let isSuspect = false;
// Whether requests are answered at all. A proxy or an extension may let nothing but the chat through.
let hasAnswered = false;

function watch(quiet = 0) {
  clearTimeout(quietTimer);
  quietTimer = setTimeout(check, QUIET_MS - quiet + Math.random() * QUIET_SPREAD_MS);
}

function check() {
  const quiet = quietFor();
  if (quiet < QUIET_MS) {
    watch(quiet);
  } else {
    probe();
  }
}

// By the wall clock, which goes on while the machine sleeps. One that was set back tells nothing.
function quietFor() {
  const quiet = Date.now() - receivedAt;
  return quiet >= 0 ? quiet : Infinity;
}

async function probe() {
  if (probed === socket) {
    return;
  }
  probed = socket;
  const [asked, askedAt] = [socket, receivedAt];
  const isAnswered = await learnLimits();
  if (socket !== asked) {
    return;
  }
  probed = null;
  const isQuiet = receivedAt === askedAt;
  if (isQuiet && !isAnswered && hasAnswered) {
    lose();
    return;
  }
  if (isQuiet && (isSuspect || quietFor() >= RELIEVE_MS)) {
    callRelief();
  }
  isSuspect = false;
  watch();
}

// Asks for the server's limits. Whether it answered; any answer will do.
async function learnLimits() {
  try {
    const signal = AbortSignal.timeout(ANSWER_WAIT_MS);
    const response = await fetch("limits.json", { cache: "no-store", signal });
    hasAnswered = true;
    if (response.ok) {
      // What stands at this place may be something else, such as the page of a proxy.
      listener.limited(await response.json().catch(() => null));
    }
    return true;
  } catch {
    return false;
  }
}

// The relief.

let relief = null;
let reliefTimer = 0;
// The frames it has received.
let kept = [];

function callRelief() {
  if (relief !== null) {
    return;
  }
  relief = openSocket();
  reliefTimer = setTimeout(dismissRelief, ANSWER_WAIT_MS);
  relief.onopen = () => {
    clearTimeout(reliefTimer);
    // The first connection has this long for what was published before the relief joined.
    reliefTimer = setTimeout(relieve, ANSWER_WAIT_MS);
  };
  relief.onmessage = (event) => {
    kept.push(event.data);
    if (kept.length > KEPT_MAX) {
      kept.shift();
    }
  };
  // A full server refuses it. That is no reason to leave.
  relief.onclose = dismissRelief;
}

function dismissRelief() {
  if (relief !== null) {
    clearTimeout(reliefTimer);
    silence(relief);
    relief = null;
    kept = [];
  }
}

function relieve() {
  const relieved = socket;
  const isDead = kept.length > 0;
  silence(relieved);
  if (isDead) {
    listener.replaced();
  } else {
    reportUnlessClean(relieved);
  }
  takeOver();
}

// Nobody published anything to judge it by. If it was alive, and so has missed nothing, its close handshake is
// completed. A browser would wait a minute for that.
function reportUnlessClean(relieved) {
  const timer = setTimeout(() => {
    relieved.onclose = null;
    listener.replaced();
  }, ANSWER_WAIT_MS);
  relieved.onclose = (event) => {
    clearTimeout(timer);
    if (!event.wasClean) {
      listener.replaced();
    }
  };
}

function takeOver() {
  clearTimeout(reliefTimer);
  socket = relief;
  const frames = kept;
  relief = null;
  kept = [];
  listen();
  watch();
  receivedAt = Date.now();
  for (const frame of frames) {
    receive(frame);
  }
}
