// What was sent and did not come back: it is offered to be sent again, which is for its author to decide.

const list = document.getElementById("unsent");

// Oldest first. Each belongs to the room that it was said in.
let offers = [];
let shownRoom = "";
let send = () => false;

// Offers a line again.
export function offer(line) {
  offers.push(line);
  draw();
}

// Shows what is offered in a room; `sendAgain(text)` returns whether it could.
export function showOffers(room, sendAgain) {
  shownRoom = room;
  send = sendAgain;
  draw();
}

function draw() {
  const shown = offers.filter(({ room }) => room === shownRoom);
  list.replaceChildren(...shown.map(describe));
}

function describe(line) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  text.textContent = line.text;
  text.dir = "auto";
  const note = document.createElement("small");
  note.textContent = line.isUnsent ? "Not sent" : "Perhaps not sent";
  const again = button("Send again", () => send(line.text) && withdraw(line));
  const discard = button("Discard", () => withdraw(line));
  item.append(note, text, again, discard);
  return item;
}

function button(label, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.addEventListener("click", onClick);
  return element;
}

function withdraw(line) {
  offers = offers.filter((it) => it !== line);
  draw();
}
