"""Counts the system calls of broadcasts to 100 clients: one write a client, no epoll_ctl, nothing else.

usage: syscalls.py PATH_OF_THE_BINARY
"""

import collections
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

CLIENTS = 100
MESSAGES = 50
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# A masked text frame, "hello", whose key is zero; and what a server makes of it.
SAID = b"\x81\x85\0\0\0\0hello"
HEARD = b"\x81\x05hello"


def read_exactly(peer, length):
    data = b""
    while len(data) < length:
        piece = peer.recv(length - len(data))
        if not piece:
            sys.exit("the server closed a connection")
        data += piece
    return data


def join(port):
    peer = socket.create_connection(("127.0.0.1", port), timeout=20)
    peer.sendall(UPGRADE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += read_exactly(peer, 1)
    return peer


def broadcast(peers, count):
    for _ in range(count):
        peers[0].sendall(SAID)
        for peer in peers:
            if read_exactly(peer, len(HEARD)) != HEARD:
                sys.exit("a client heard something else")


def main(binary):
    server = subprocess.Popen(
        [binary, "--addr", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    port = int(re.search(r":(\d+)/", server.stdout.readline()).group(1))
    peers = [join(port) for _ in range(CLIENTS)]
    broadcast(peers, 1)

    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        trace = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", log.name, "-p", str(server.pid)],
            stderr=subprocess.DEVNULL,
        )
        # The tracer has attached once the kernel names it as such.
        while f"TracerPid:\t{trace.pid}" not in open(f"/proc/{server.pid}/status").read():
            if trace.poll() is not None:
                sys.exit("strace could not attach")
        broadcast(peers, MESSAGES)
        trace.send_signal(signal.SIGINT)
        trace.wait(timeout=20)
        calls = collections.Counter(re.findall(r"^\d+\s+(\w+)\(", log.read(), re.M))
    os.kill(server.pid, signal.SIGTERM)
    server.wait(timeout=20)

    print(f"{MESSAGES} broadcasts to {CLIENTS} clients:", dict(calls))
    writes = calls.pop("sendto", 0) + calls.pop("write", 0)
    rest = sum(calls.values())
    if writes != MESSAGES * CLIENTS:
        sys.exit(f"{writes} writes, not {MESSAGES * CLIENTS}")
    if calls["epoll_ctl"] or rest > 4 * MESSAGES:
        sys.exit(f"{rest} other calls; each broadcast needs a poll and a read, and may need one of each more")


if __name__ == "__main__":
    main(sys.argv[1])
