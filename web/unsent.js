// What was sent and has not come back. A line that takes long is shown as waiting. One that will not come back is
// offered to be sent again, which is for its author to decide.

const list = document.getElementById("unsent");

// Oldest first: each with its text, the room that it was said in, and its item in the list.
let lines = [];
let shownRoom = "";
let send = () => false;

// Shows that a line waits.
export function showWaiting(line) {
  put(line, "Waiting …");
  line.item.classList.add("waiting");
}

// Offers a line again, whether it waited or not.
export function offer(line, isUnsent) {
  const again = button("Send again", () => send(line.text) && withdraw(line));
  const discard = button("Discard", () => withdraw(line));
  put(line, isUnsent ? "Not sent" : "Perhaps not sent", again, discard);
}

// Shows a line no longer, if it was shown.
export function withdraw(line) {
  lines = lines.filter((it) => it !== line);
  line.item?.remove();
}

// Shows the lines of a room; `sendAgain(text)` returns whether it could.
export function showUnsent(room, sendAgain) {
  shownRoom = room;
  send = sendAgain;
  list.replaceChildren(...lines.filter(isShown).map(({ item }) => item));
}

// In place of the line's own item, or behind all others. The others keep theirs, and with it the focus.
function put(line, note, ...controls) {
  const item = document.createElement("li");
  const small = document.createElement("small");
  small.textContent = note;
  const text = document.createElement("span");
  text.textContent = line.text;
  text.dir = "auto";
  item.append(small, text, ...controls);
  if (line.item !== undefined) {
    line.item.replaceWith(item);
  } else {
    lines.push(line);
    if (isShown(line)) {
      list.append(item);
    }
  }
  line.item = item;
}

function isShown({ room }) {
  return room === shownRoom;
}

function button(label, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.addEventListener("click", onClick);
  return element;
}
