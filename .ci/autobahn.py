"""Runs the Autobahn cases against `fanfare --echo --deflate` and fails unless every one passes strictly.

usage: autobahn.py PATH_OF_THE_BINARY [all]

Of the cases of compression those are run that take no more than seconds, and two long ones; with `all`, every one.
"""

import asyncio
import collections
import subprocess
import sys

from kosoku import FailureError, run_fuzzingclient

# Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits, and the rest.
PROTOCOL = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
# Five kinds of text, and seven kinds of offer. Each has 18 cases: in the first ones the length of messages doubles up to
# 128 KiB, from the eleventh on they come in fragments.
KINDS = [f"12.{kind}" for kind in range(1, 6)] + [f"13.{kind}" for kind in range(1, 8)]
SHORT = [f"{kind}.{case}" for kind in KINDS for case in (1, 2, 3, 4, 5, 6, 7, 11, 12)]
LONG = ["12.1.10", "13.3.10"]
ALL = [f"{kind}.*" for kind in KINDS]
# The cases there are; fewer would mean that some were not run.
PROTOCOL_COUNT = 301
ALL_COUNT = 216

GOOD = {"OK", "INFORMATIONAL"}
# The suite ends a case after 12 s, whatever the case says: on a busy machine a long one is late, and is run again.
LATE = "Case did not finish"
ATTEMPTS = 3


async def run(url, cases, concurrency):
    try:
        return await run_fuzzingclient(url, cases, concurrency=concurrency)
    except FailureError as failure:
        return failure.results


async def run_patiently(url, cases):
    """Runs one case at a time, and again what was late."""
    done = {}
    for _ in range(ATTEMPTS):
        done |= {result.case_id: result for result in await run(url, cases, 1)}
        cases = [id for id, result in done.items() if str(result.result).startswith(LATE)]
        if not cases:
            break
    return list(done.values())


def report(results):
    """Prints each verdict and returns the cases that are not good."""
    bad = []
    for result in results:
        verdict, closing = result.behavior.value, result.behavior_close.value
        print(f"{result.case_id:<10} {verdict:<15} closing: {closing}")
        if verdict not in GOOD or closing not in GOOD:
            bad.append(f"{result.case_id}: {result.result} {result.result_close}")
    totals = collections.Counter(result.behavior.value for result in results)
    print(f"{len(results)} cases:", ", ".join(f"{n} {verdict}" for verdict, n in totals.items()))
    return bad


async def main(binary, extent="selected"):
    # The suite has no time for more than the lowest level.
    deflate = ["--deflate", "--deflate-level", "1"]
    server = subprocess.Popen(
        [binary, "--addr", "127.0.0.1:0", "--echo", *deflate, "--max-message", "64MiB"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = server.stdout.readline().split()[-1].replace("http://", "ws://") + "echo"
        # These wait most of the time, and compression does not.
        results = await run(url, PROTOCOL, 4)
        compression, count = (ALL, ALL_COUNT) if extent == "all" else (SHORT + LONG, len(SHORT + LONG))
        results += await run_patiently(url, compression)
        bad = report(results)
        count += PROTOCOL_COUNT
        if len(results) != count:
            bad.append(f"{len(results)} cases were run, not {count}")
        if server.poll() is not None:
            bad.append(f"the server ended with {server.returncode}")
    finally:
        server.terminate()
        server.wait(timeout=30)
    for line in bad:
        print("not strict:", line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
