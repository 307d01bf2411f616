// The chat on uWebSockets, as Bun has it built in, for the benches' --rival:
//
//   cargo bench --bench fanout -- --rival "bun benches/rivals/uwebsockets.js"
//   cargo bench --bench fanout -- --rival "bun benches/rivals/uwebsockets.js joined"
//   cargo bench --bench fanout -- --rival "bun benches/rivals/uwebsockets.js joined dedicated" --scenario turn-deflate
//
// By itself it publishes each message as it comes; `joined` joins what came in one turn of its loop. `dedicated` and
// `shared` compress for clients that offer it: with a compressor for each socket, or with one that starts anew each time.
"use strict";

const options = process.argv.slice(2);
const isJoined = options.includes("joined");
const compressor = ["dedicated", "shared"].find((name) => options.includes(name));
let published = [];

function publish(text) {
  server.publish("room", text, compressor !== undefined);
}

function publishAll() {
  publish(published.join("\n"));
  published = [];
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("only /ws is here", { status: 404 });
  },
  websocket: {
    perMessageDeflate: compressor === undefined ? false : { compress: compressor, decompress: false },
    maxPayloadLength: 1024,
    backpressureLimit: 16 * 1024 * 1024,
    open(socket) {
      socket.subscribe("room");
    },
    message(socket, text) {
      if (!isJoined) {
        publish(text);
      } else if (published.push(text) === 1) {
        setImmediate(publishAll);
      }
    },
  },
});

console.log(`bench listening on http://127.0.0.1:${server.port}/`);
