// The log: it shows the last lines, and follows them unless its reader has scrolled up.

const log = document.getElementById("log");
const latest = document.getElementById("latest");

const TITLE = document.title;

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
let title = TITLE;
let isFollowing = true;
// How far down the log was, and how high, when it last stood at the bottom.
let followedTop = 0;
let followedHeight = 0;

log.addEventListener("scroll", noteReader);
latest.addEventListener("click", follow);
// A window that grows and shrinks back before it is drawn moves the log too, and no observer is called.
window.addEventListener("resize", keepFollowing);
new ResizeObserver(keepFollowing).observe(log);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    unread = 0;
    document.title = title;
  }
});

// Begins anew, in this room.
export function clearLog(room) {
  pending = [];
  unread = 0;
  log.replaceChildren();
  log.setAttribute("aria-label", room === "" ? "Messages" : `Messages in ${room}`);
  title = room === "" ? TITLE : `${room} – ${TITLE}`;
  document.title = title;
  isFollowing = true;
  follow();
}

// Adds a message, which is a line. One that is news is counted while nobody looks.
export function addMessage(text, isNews) {
  addLine(text);
  if (isNews && document.hidden) {
    unread += 1;
  }
}

// Marks that so many messages are missing here; null if that is unknown.
export function addGap(count) {
  const known = count === 1 ? "1 message is missing here." : `${count} messages are missing here.`;
  addLine(count === null ? "Messages may be missing here." : known).className = "gap";
}

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
    document.title = `(${unread}) ${title}`;
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

function keepFollowing() {
  if (isFollowing) {
    follow();
  }
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
