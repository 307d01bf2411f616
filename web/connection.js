// The connection: it comes back when it is lost.

const state = document.getElementById("state");

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
// A server that drops everybody at once is not to be asked again at once: only what held is a success.
const HELD_MS = 5_000;

let listener;
// Null while there is neither a connection nor an attempt at one.
let socket = null;
let attempts = 0;
let openedAt = Infinity;
let retryTimer = 0;

// Connects, for good, and calls what it is given: opened(), received(lines), lost(closeCode), limited(limits)
// with the server's limits.
export function start(its) {
  listener = its;
  window.addEventListener("online", connectIfWanted);
  document.addEventListener("visibilitychange", connectIfWanted);
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
  socket = openSocket();
  socket.onopen = greet;
  socket.onmessage = (event) => receive(event.data);
  socket.onclose = (event) => lose(event.code);
}

// Relative to the page, which a proxy may serve under a path of its own.
function openSocket() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url);
}

function greet() {
  openedAt = performance.now();
  show("open", "Connected");
  listener.opened();
  learnLimits();
}

async function learnLimits() {
  try {
    const response = await fetch("limits.json", { cache: "no-store" });
    if (response.ok) {
      listener.limited(await response.json());
    }
  } catch {
    // The server enforces its limits, whether they are known here or not.
  }
}

function receive(text) {
  listener.received(text.split("\n"));
}

// Gives the connection up, or the attempt at one.
export function lose(code = 0) {
  // One that was given up may still be alive, and is to report nothing more.
  socket.onmessage = null;
  socket.onclose = null;
  socket.close();
  socket = null;
  if (performance.now() - openedAt >= HELD_MS) {
    attempts = 0;
  }
  openedAt = Infinity;
  listener.lost(code);
  show("lost", "Not connected, trying again …");
  connectLater();
}

function connectLater() {
  const longest = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempts);
  attempts += 1;
  // Half of the wait is left to chance, so that a restarted server is not met by everybody at once.
  retryTimer = setTimeout(connectIfWanted, longest / 2 + (Math.random() * longest) / 2);
}

function connectIfWanted() {
  // A hidden page waits until it is looked at again.
  if (socket === null && !document.hidden) {
    connect();
  }
}
