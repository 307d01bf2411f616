// npm's `ws`: sends each line of its input, and prints what was agreed on and each message that it receives.
// usage: node ws.js URL yes|no SUBPROTOCOL...
'use strict';
const { createInterface } = require('readline');
const WebSocket = require('ws');

const [url, deflates, ...protocols] = process.argv.slice(2);
const socket = new WebSocket(url, protocols, { perMessageDeflate: deflates === 'yes' });
socket.on('open', () => {
  console.log(`agreed: ${socket.extensions}`);
  createInterface({ input: process.stdin }).on('line', (line) => socket.send(line));
});
socket.on('message', (data) => console.log(String(data)));
socket.on('error', (error) => console.log(`error: ${error.message}`));
socket.on('close', (code) => console.log(`closed: ${code}`));
