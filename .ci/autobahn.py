"""Runs the Autobahn cases against `fanfare --echo` and fails unless every one passes strictly.

usage: autobahn.py PATH_OF_THE_BINARY
"""

import asyncio
import collections
import subprocess
import sys

from kosoku import FailureError, run_fuzzingclient

# Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits, and the rest.
STRICT = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
# Compression is not offered, so it can only be found missing.
COMPRESSION = ["12.*", "13.*"]
# The cases there are; fewer would mean that some were not run.
STRICT_COUNT = 301

GOOD = {"OK", "INFORMATIONAL"}
MISSING = {"UNIMPLEMENTED"}


async def run(url, cases):
    try:
        return await run_fuzzingclient(url, cases, concurrency=4)
    except FailureError as failure:
        return failure.results


def report(results, accepted):
    """Prints each verdict and returns the cases that are not accepted."""
    bad = []
    for result in results:
        verdict, closing = result.behavior.value, result.behavior_close.value
        print(f"{result.case_id:<10} {verdict:<15} closing: {closing}")
        closed_well = closing in GOOD or verdict in MISSING
        if verdict not in accepted or not closed_well:
            bad.append(f"{result.case_id}: {result.result} {result.result_close}")
    totals = collections.Counter(result.behavior.value for result in results)
    print(f"{len(results)} cases:", ", ".join(f"{n} {verdict}" for verdict, n in totals.items()))
    return bad


async def main(binary):
    server = subprocess.Popen(
        [binary, "--addr", "127.0.0.1:0", "--echo", "--max-message", "64MiB"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = server.stdout.readline().split()[-1].replace("http://", "ws://") + "echo"
        strict = await run(url, STRICT)
        bad = report(strict, GOOD)
        if len(strict) != STRICT_COUNT:
            bad.append(f"{len(strict)} cases were run, not {STRICT_COUNT}")
        bad += report(await run(url, COMPRESSION), MISSING)
        if server.poll() is not None:
            bad.append(f"the server ended with {server.returncode}")
    finally:
        server.terminate()
        server.wait(timeout=30)
    for line in bad:
        print("not strict:", line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
