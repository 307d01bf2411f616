// The chat page: a log that follows, a form that sends, a connection that comes back.
"use strict";

const log = document.getElementById("log");
const form = document.getElementById("form");
const msg = document.getElementById("msg");
const state = document.getElementById("state");
const latest = document.getElementById("latest");
const hint = document.getElementById("hint");

const LINES_MAX = 2000;
// Old lines are taken off this many at a time, so that a full log costs no layout per line.
const LINES_TRIMMED = 200;
const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 30_000;
// RFC 6455 §7.4.1: a message was too big.
const TOO_BIG = 1009;

let socket = null;
let attempts = 0;
let timer = 0;
let unread = 0;
let lastSent = "";

function show(name, text) {
  state.dataset.state = name;
  state.textContent = text;
}

function isAtBottom() {
  // Zoomed pages have fractional heights.
  return log.scrollHeight - log.scrollTop - log.clientHeight < 4;
}

function follow() {
  log.scrollTop = log.scrollHeight;
  latest.hidden = true;
}

function appendLines(text) {
  const wasAtBottom = isAtBottom();
  const lines = text.split("\n").slice(-LINES_MAX);
  const fragment = document.createDocumentFragment();
  for (const line of lines) {
    const item = document.createElement("p");
    item.textContent = line;
    fragment.append(item);
  }
  log.append(fragment);
  trim(wasAtBottom);
  if (wasAtBottom) {
    follow();
  } else {
    latest.hidden = false;
  }
  if (document.hidden) {
    unread += lines.length;
    document.title = `(${unread}) fanfare`;
  }
}

function trim(isFollowing) {
  let excess = log.childElementCount - LINES_MAX;
  if (excess <= 0) {
    return;
  }
  excess = Math.min(excess + LINES_TRIMMED, log.childElementCount);
  const before = log.scrollHeight;
  const range = document.createRange();
  range.setStart(log, 0);
  range.setEnd(log, excess);
  range.deleteContents();
  if (!isFollowing) {
    // What the reader looks at stays where it is, as long as it is there.
    log.scrollTop -= before - log.scrollHeight;
  }
}

function connect() {
  clearTimeout(timer);
  timer = 0;
  show("connecting", "Connecting …");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(`${scheme}//${location.host}/ws`);
  socket = opened;
  opened.onopen = () => {
    attempts = 0;
    show("open", "Connected");
  };
  opened.onmessage = (event) => appendLines(event.data);
  opened.onclose = (event) => {
    if (event.code === TOO_BIG) {
      keepTooLong();
    }
    show("lost", "Connection lost, trying again …");
    connectLater();
  };
}

function connectLater() {
  const longest = Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** attempts);
  attempts += 1;
  // Half of the wait is left to chance, so that a restarted server is not met by everybody at once.
  const wait = longest / 2 + (Math.random() * longest) / 2;
  clearTimeout(timer);
  timer = setTimeout(connectIfWanted, wait);
}

function connectIfWanted() {
  timer = 0;
  // A hidden page waits until it is looked at again.
  if (socket.readyState === WebSocket.CLOSED && !document.hidden) {
    connect();
  }
}

function keepTooLong() {
  warn("That message was too long for this server. Shorten it and send it again.");
  if (msg.value === "") {
    msg.value = lastSent;
  }
}

function warn(text) {
  hint.textContent = text;
  hint.hidden = text === "";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (msg.value === "") {
    return;
  }
  if (socket === null || socket.readyState !== WebSocket.OPEN) {
    warn("Not connected: your message is kept until the connection is back.");
    return;
  }
  lastSent = msg.value;
  socket.send(msg.value);
  msg.value = "";
  warn("");
});

log.addEventListener("scroll", () => {
  if (isAtBottom()) {
    latest.hidden = true;
  }
});

latest.addEventListener("click", () => {
  follow();
  msg.focus();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    unread = 0;
    document.title = "fanfare";
    if (timer === 0 && socket !== null) {
      connectIfWanted();
    }
  }
});

window.addEventListener("online", () => {
  if (socket !== null) {
    connectIfWanted();
  }
});

if ("WebSocket" in window) {
  connect();
} else {
  show("lost", "This browser has no WebSocket, so it cannot chat.");
  msg.disabled = true;
}
