// The chat page: a connection that comes back, a form that sends, a log that follows.
//
// Whatever anybody says comes back to everybody, its sender too: a line that was sent and not heard was
// perhaps never said.
"use strict";

const state = document.getElementById("state");
const log = document.getElementById("log");
const latest = document.getElementById("latest");
const form = document.getElementById("form");
const msg = document.getElementById("msg");
const hint = document.getElementById("hint");

function start() {
  if (!("WebSocket" in window)) {
    show("lost", "This browser has no WebSocket, so it cannot chat.");
    for (const control of form.elements) {
      control.disabled = true;
    }
    return;
  }
  form.addEventListener("submit", submit);
  log.addEventListener("scroll", noteReader);
  new ResizeObserver(() => {
    if (isFollowing) {
      follow();
    }
  }).observe(log);
  latest.addEventListener("click", () => {
    follow();
    msg.focus();
  });
  window.addEventListener("online", connectIfWanted);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      unread = 0;
      document.title = "fanfare";
      connectIfWanted();
    }
  });
  connect();
}

// The connection.

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
// A server that drops everybody at once is not to be asked again at once: only what held is a success.
const HELD_MS = 5_000;
// RFC 6455 §7.4.1: a message was too big.
const TOO_BIG = 1009;

const NOT_CONNECTED = "Not connected. Your message is kept: send it again when the connection is back.";
const NOT_HEARD = "The connection was lost before your message was heard. You may have to send it again.";
const TOO_LONG = "That message was too long for this server. Shorten it and send it again.";
const GAP = "Reconnected. What was said in between is not here.";

// Null while there is neither a connection nor an attempt at one.
let socket = null;
let attempts = 0;
let openedAt = Infinity;
let retryTimer = 0;
let hasHeardSinceGap = false;

function connect() {
  clearTimeout(retryTimer);
  if (attempts === 0) {
    show("connecting", "Connecting …");
  }
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/ws`);
  socket.onopen = greet;
  socket.onmessage = (event) => receive(event.data);
  socket.onclose = (event) => lose(event.code);
}

function greet() {
  openedAt = performance.now();
  show("open", "Connected");
  if (hint.textContent === NOT_CONNECTED) {
    warn("");
  }
  if (hasHeardSinceGap) {
    hasHeardSinceGap = false;
    addLine(GAP).className = "gap";
  }
}

function receive(text) {
  const lines = text.split("\n");
  for (const line of lines) {
    addLine(line);
    noteEcho(line);
  }
  hasHeardSinceGap = true;
  if (document.hidden) {
    unread += lines.length;
  }
}

function lose(code = 0) {
  // One that was given up may still be alive, and is to say nothing more.
  socket.onmessage = null;
  socket.onclose = null;
  socket.close();
  socket = null;
  if (performance.now() - openedAt >= HELD_MS) {
    attempts = 0;
  }
  openedAt = Infinity;
  giveBack(code === TOO_BIG ? TOO_LONG : NOT_HEARD);
  show("lost", "Not connected, trying again …");
  connectLater();
}

function connectLater() {
  const longest = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempts);
  attempts += 1;
  // Half of the wait is left to chance, so that a restarted server is not met by everybody at once.
  const wait = longest / 2 + (Math.random() * longest) / 2;
  retryTimer = setTimeout(connectIfWanted, wait);
}

function connectIfWanted() {
  // A hidden page waits until it is looked at again.
  if (socket === null && !document.hidden) {
    connect();
  }
}

function show(name, text) {
  state.dataset.state = name;
  // What is written again is read aloud again.
  if (state.textContent !== text) {
    state.textContent = text;
  }
}

// Sending.

// A connection on which a line of our own takes longer to come back is dead, whatever the browser says.
const ECHO_WAIT_MS = 10_000;

// What was sent and has not come back, oldest first.
let unheard = [];
let echoTimer = 0;

function submit(event) {
  event.preventDefault();
  if (bare(msg.value) === "") {
    return;
  }
  if (socket?.readyState !== WebSocket.OPEN) {
    warn(NOT_CONNECTED);
    connectIfWanted();
    return;
  }
  socket.send(msg.value);
  unheard.push(msg.value);
  if (unheard.length === 1) {
    awaitEcho();
  }
  msg.value = "";
  warn("");
}

function noteEcho(line) {
  if (unheard.length > 0 && bare(line) === bare(unheard[0])) {
    unheard.shift();
    awaitEcho();
  }
}

function awaitEcho() {
  clearTimeout(echoTimer);
  if (unheard.length > 0) {
    echoTimer = setTimeout(lose, ECHO_WAIT_MS);
  }
}

// Puts what was not heard back into the input, in front of what is being written.
function giveBack(reason) {
  clearTimeout(echoTimer);
  if (unheard.length > 0) {
    msg.value = [...unheard, msg.value].filter((text) => text !== "").join(" ");
    unheard = [];
    warn(reason);
  }
}

// The text without white space at its ends. The server trims too, U+0085 included, which JavaScript leaves.
function bare(text) {
  return text.replaceAll("\u0085", " ").trim();
}

function warn(text) {
  hint.textContent = text;
  hint.hidden = text === "";
}

// The log.

const LINES_MAX = 2000;
// Old lines are taken off this many at a time, so that a full log costs no layout per line.
const LINES_TRIMMED = 200;
// Lines that come within one frame are drawn together. A hidden page has no frames, but its title counts.
const DRAW_MS = 16;
const DRAW_HIDDEN_MS = 250;
// Zoomed pages have fractional heights.
const SLACK_PX = 4;

let pending = [];
let drawTimer = 0;
let unread = 0;
let isFollowing = true;
// How far down the log was, and how high, when it last stood at the bottom.
let followedTop = 0;
let followedHeight = 0;

// Adds a line of text, never of HTML.
function addLine(text) {
  const line = document.createElement("p");
  line.textContent = text;
  pending.push(line);
  if (pending.length > LINES_MAX) {
    pending.shift();
  }
  drawTimer ||= setTimeout(draw, document.hidden ? DRAW_HIDDEN_MS : DRAW_MS);
  return line;
}

function draw() {
  drawTimer = 0;
  noteReader();
  log.append(...pending);
  pending = [];
  trim();
  if (isFollowing) {
    follow();
  } else {
    latest.hidden = false;
  }
  if (unread > 0) {
    document.title = `(${unread}) fanfare`;
  }
}

// Takes off old lines. Who has scrolled up reads old lines, and is left twice as many.
function trim() {
  const excess = log.childElementCount - (isFollowing ? LINES_MAX : 2 * LINES_MAX);
  if (excess <= 0) {
    return;
  }
  const oldest = log.children[excess + LINES_TRIMMED];
  const top = oldest.getBoundingClientRect().top;
  const range = document.createRange();
  range.setStart(log, 0);
  range.setEndBefore(oldest);
  range.deleteContents();
  // What is left keeps its place on the screen. The browser does not help, or the log would move twice.
  log.scrollTop += oldest.getBoundingClientRect().top - top;
}

function follow() {
  log.scrollTop = log.scrollHeight;
  noteReader();
}

// Only scrolling up ends the following. A resize, as when a phone's keyboard opens, leaves the bottom as well,
// and a zoom even moves the log up.
function noteReader() {
  const bottom = log.scrollHeight - log.clientHeight;
  if (log.scrollTop > bottom - SLACK_PX) {
    isFollowing = true;
    followedTop = log.scrollTop;
    followedHeight = log.clientHeight;
    hideLatest();
  } else if (log.scrollTop < followedTop - SLACK_PX && log.clientHeight === followedHeight) {
    isFollowing = false;
  }
}

function hideLatest() {
  if (document.activeElement === latest) {
    log.focus();
  }
  latest.hidden = true;
}

start();
