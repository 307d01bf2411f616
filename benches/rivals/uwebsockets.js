// The chat on uWebSockets, as Bun has it built in, for the benches' --rival:
//
//   cargo bench --bench fanout -- --rival "bun benches/rivals/uwebsockets.js"
//   cargo bench --bench fanout -- --rival "bun benches/rivals/uwebsockets.js joined"
//
// The first publishes each message as it comes; the second joins what came in one turn of its loop.
"use strict";

const isJoined = process.argv[2] === "joined";
let published = [];

function publishAll() {
  server.publish("room", published.join("\n"));
  published = [];
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("only /ws is here", { status: 404 });
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 512,
    backpressureLimit: 16 * 1024 * 1024,
    open(socket) {
      socket.subscribe("room");
    },
    message(socket, text) {
      if (!isJoined) {
        server.publish("room", text);
      } else if (published.push(text) === 1) {
        setImmediate(publishAll);
      }
    },
  },
});

console.log(`bench listening on http://127.0.0.1:${server.port}/`);
