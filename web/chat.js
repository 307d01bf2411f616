// The chat page: the form that sends, and what happens to a line until it is known to be published.
//
// Every message is delivered to all members, its sender included: a line that was sent and did not come back
// was perhaps never published.

import * as connection from "./connection.js";
import { addGap, addMessages } from "./log.js";

const form = document.getElementById("form");
const msg = document.getElementById("msg");
const count = document.getElementById("count");
const hint = document.getElementById("hint");
const latest = document.getElementById("latest");

// RFC 6455 §7.4.1: a message was too big.
const TOO_BIG = 1009;

const NOT_CONNECTED = "Not connected. Your message is kept: send it again when the connection is back.";
const NOT_DELIVERED = "The connection was lost before your message came back. You may have to send it again.";
const TOO_LONG = "This message is too long for this server. Shorten it to send it.";

// A connection on which a line of our own takes longer to come back is dead, whatever the browser says.
const ECHO_WAIT_MS = 10_000;

// What was sent and has not come back, oldest first.
let unconfirmed = [];
let echoTimer = 0;
// In bytes of UTF-8. Unknown until the server has answered, and enforced by it in any case.
let messageMax = Infinity;

function start() {
  if (!("WebSocket" in window)) {
    connection.show("lost", "This browser has no WebSocket, so it cannot chat.");
    for (const control of form.elements) {
      control.disabled = true;
    }
    return;
  }
  form.addEventListener("submit", submit);
  msg.addEventListener("input", isTooLong);
  latest.addEventListener("click", () => msg.focus());
  connection.start({ opened, received, replaced: addGap, lost, limited });
}

// What the connection reports.

function opened() {
  addGap();
  if (hint.textContent === NOT_CONNECTED) {
    warn("");
  }
}

function received(lines) {
  addMessages(lines);
  lines.forEach(confirm);
}

function lost(code) {
  giveBack(code === TOO_BIG ? TOO_LONG : NOT_DELIVERED);
}

function limited(limits) {
  if (Number.isSafeInteger(limits?.max_message)) {
    messageMax = limits.max_message;
    isTooLong();
  }
}

// From the input to the server and back.

function submit(event) {
  event.preventDefault();
  const text = wellFormed(msg.value);
  if (bare(text) === "" || isTooLong()) {
    return;
  }
  if (!connection.send(text)) {
    warn(NOT_CONNECTED);
    return;
  }
  unconfirmed.push(text);
  if (unconfirmed.length === 1) {
    awaitEcho();
  }
  msg.value = "";
  warn("");
}

function confirm(line) {
  if (unconfirmed.length > 0 && bare(line) === bare(unconfirmed[0])) {
    unconfirmed.shift();
    awaitEcho();
  }
}

function awaitEcho() {
  clearTimeout(echoTimer);
  if (unconfirmed.length > 0) {
    echoTimer = setTimeout(connection.lose, ECHO_WAIT_MS);
  }
}

// Puts what did not come back into the input, in front of what is being written.
function giveBack(reason) {
  clearTimeout(echoTimer);
  if (unconfirmed.length > 0) {
    msg.value = [...unconfirmed, msg.value].filter((text) => text !== "").join(" ");
    unconfirmed = [];
    warn(reason);
  }
}

// The text as it is sent: lone surrogates become U+FFFD on the way, and what comes back has to be recognized.
// Not every browser has toWellFormed().
function wellFormed(text) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

// The text without white space at its ends. The server trims too, U+0085 included, which JavaScript leaves.
function bare(text) {
  return text.replaceAll("\u0085", " ").trim();
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
  // What is written again is read aloud again.
  if (hint.textContent !== text) {
    hint.textContent = text;
  }
  hint.hidden = text === "";
  count.hidden = text !== TOO_LONG;
  if (count.hidden) {
    count.textContent = "";
  }
}

start();
