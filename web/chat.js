// The chat page: the room that the fragment names, and the form that sends.
//
// Every message is delivered to all members, its sender included: a line that was sent is published once it came
// back. One that takes long is shown as waiting, and one that does not come is offered to be sent again.

import { connect, isRoomName } from "./fanfare.js";
import { addGap, addMessage, clearLog } from "./log.js";
import { offer, showUnsent, showWaiting, withdraw } from "./unsent.js";

const state = document.getElementById("state");
const here = document.getElementById("here");
const rooms = document.getElementById("rooms");
const field = document.getElementById("room");
const roomHint = document.getElementById("room-hint");
const form = document.getElementById("form");
const msg = document.getElementById("msg");
const count = document.getElementById("count");
const hint = document.getElementById("hint");
const latest = document.getElementById("latest");

// How many of the messages before one sees on arrival.
const HISTORY_SHOWN = 50;
// How long a line may be on its way before its author is told that it waits.
const WAITING_MS = 1_000;
// RFC 6455 §7.4.1: a message was too big.
const TOO_BIG = 1009;

const CONNECTING = "Connecting …";
const NOT_CONNECTED = "Not connected. Your message is kept: send it again when the connection is back.";
const TOO_LONG = "This message is too long for this server. Shorten it to send it.";
const BAD_NAME = "The name of a room has 1 to 64 characters of A–Z a–z 0–9 . _ ~ - and is not . or ..";

let room = "";
// None while the fragment names no room that there can be.
let connection = null;
// What comes before is history.
let hasOpened = false;
// In bytes of UTF-8. Unknown until the server has answered, and enforced by it in any case.
let messageMax = Infinity;

function start() {
  if (!("WebSocket" in window)) {
    show("lost", "This browser has no WebSocket, so it cannot chat.");
    for (const control of [...rooms.elements, ...form.elements]) {
      control.disabled = true;
    }
    return;
  }
  rooms.addEventListener("submit", chooseRoom);
  field.addEventListener("input", () => warnOfName(false));
  form.addEventListener("submit", submit);
  msg.addEventListener("input", isTooLong);
  latest.addEventListener("click", () => msg.focus());
  window.addEventListener("hashchange", enterRoom);
  enterRoom();
}

// The room.

function enterRoom() {
  connection?.close();
  connection = null;
  hasOpened = false;
  room = location.hash.slice(1);
  clearLog(room);
  showUnsent(room, sendAgain);
  here.hidden = true;
  field.value = decoded(room);
  const isPossible = isPossibleRoom(room);
  warnOfName(!isPossible);
  if (isPossible) {
    show("connecting", CONNECTING);
    const events = { onMessage, onGap: addGap, onHere, onState };
    connection = connect(room, { ...events, last: HISTORY_SHOWN });
  } else {
    show("lost", "There is no such room.");
  }
}

function chooseRoom(event) {
  event.preventDefault();
  const chosen = field.value.trim();
  if (!isPossibleRoom(chosen)) {
    warnOfName(true);
  } else if (chosen === room) {
    enterRoom();
  } else {
    location.hash = chosen;
    msg.focus();
  }
}

function isPossibleRoom(name) {
  return name === "" || isRoomName(name);
}

function warnOfName(isBad) {
  roomHint.textContent = isBad ? BAD_NAME : "";
  roomHint.hidden = !isBad;
  field.setAttribute("aria-invalid", isBad);
}

// A fragment as it was typed.
function decoded(fragment) {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

// What the connection reports.

function onMessage(text) {
  addMessage(text, hasOpened);
}

function onHere(listeners) {
  here.hidden = false;
  write(here, `${listeners} here`);
}

function onState(name, { reason }) {
  if (name === "open") {
    hasOpened = true;
    show("open", "Connected");
    if (hint.textContent === NOT_CONNECTED) {
      warn("");
    }
    learnLimits();
    return;
  }
  here.hidden = true;
  if (name === "lost") {
    show("lost", `Not connected: ${reason}. Trying again …`);
  } else if (name === "refused") {
    show("lost", `Refused: ${reason}.`);
  } else if (name === "connecting" && state.dataset.state !== "lost") {
    show("connecting", CONNECTING);
  }
}

function show(name, text) {
  state.dataset.state = name;
  write(state, text);
}

// What is written again is read aloud again.
function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

// What stands at this place may be something else, such as the page of a proxy.
async function learnLimits() {
  const limits = await fetch("limits.json", { cache: "no-store" })
    .then((response) => response.json())
    .catch(() => null);
  if (Number.isSafeInteger(limits?.max_message)) {
    messageMax = limits.max_message;
    isTooLong();
  }
}

// From the input to the server and back.

function submit(event) {
  event.preventDefault();
  const text = msg.value;
  if (text.trim() === "" || isTooLong()) {
    return;
  }
  if (isConnected()) {
    say(text);
    msg.value = "";
    warn("");
  } else {
    warn(NOT_CONNECTED);
    // It is refused, and ends the wait for the next attempt.
    connection?.say(text).catch(() => {});
  }
}

function isConnected() {
  return state.dataset.state === "open";
}

function say(text) {
  const line = { room, text };
  const waiting = setTimeout(() => showWaiting(line), WAITING_MS);
  const published = () => withdraw(line);
  const failed = ({ unsent, code }) => {
    if (code === TOO_BIG && msg.value === "" && line.room === room) {
      withdraw(line);
      msg.value = text;
      warn(TOO_LONG);
    } else {
      offer(line, unsent);
    }
  };
  connection.say(text).then(published, failed).finally(() => clearTimeout(waiting));
}

// Whether the line could be sent.
function sendAgain(text) {
  if (isConnected()) {
    say(text);
    warn("");
  } else {
    warn(NOT_CONNECTED);
  }
  msg.focus();
  return isConnected();
}

// Whether the input is too long, which is shown as it is typed. The server counts the bytes of a message as
// they were sent, with the white space that it trims.
function isTooLong() {
  const length = new TextEncoder().encode(msg.value).length;
  if (length > messageMax) {
    // The number changes with every key, so it is not part of the alert, which would be read aloud each time.
    count.textContent = `${length} of ${messageMax} bytes`;
    warn(TOO_LONG);
    return true;
  }
  if (hint.textContent === TOO_LONG) {
    warn("");
  }
  return false;
}

function warn(text) {
  write(hint, text);
  hint.hidden = text === "";
  count.hidden = text !== TOO_LONG;
  if (count.hidden) {
    count.textContent = "";
  }
}

start();
