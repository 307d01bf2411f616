"""PyPI's `websockets`: sends each line of its input, and prints what was agreed on and each message that it receives.

usage: websockets_client.py URL yes|no SUBPROTOCOL...
"""

import sys
import threading

from websockets.sync.client import connect


def say_lines(socket):
    for line in sys.stdin:
        socket.send(line.rstrip("\n"))


def main(url, deflates, *protocols):
    compression = "deflate" if deflates == "yes" else None
    with connect(url, subprotocols=list(protocols) or None, compression=compression, proxy=None) as socket:
        agreed = ", ".join(extension.name for extension in socket.protocol.extensions)
        print(f"agreed: {agreed}", flush=True)
        threading.Thread(target=say_lines, args=(socket,), daemon=True).start()
        for message in socket:
            print(message, flush=True)


main(*sys.argv[1:])
