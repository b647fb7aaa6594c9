"""The launcher of a child (see `child`): between fork and exec it sees to it that the child doesn't outlive its parent.

It is loaded at the start of each child, so it loads little.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def _supervise(command: list[str], death_signal: int) -> int:
    """Run the program until it ends, we are told to stop, or the parent's end of our pipe closes."""
    told: list[int] = []
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda number, _frame: told.append(number))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def forward(number: int, _frame: object) -> None:
        child.send_signal(number)

    def watch() -> None:
        # Not through sys.stdin: the interpreter can't end while a thread reads from that.
        while os.read(0, 1024):
            pass
        child.send_signal(death_signal)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()

    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, forward)
    for number in told:
        child.send_signal(number)
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _launch() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.embedded.launch", description=__doc__)
    parser.add_argument("parent", type=int)
    parser.add_argument("death_signal", type=int)
    parser.add_argument("--supervise", action="store_true")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    if args.supervise:
        return _supervise(args.command, args.death_signal)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, args.death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != args.parent:
        return 1  # the parent died before the signal was set
    os.execvp(args.command[0], args.command)  # noqa: S606 - becomes the program, with the signal set
    raise AssertionError("unreachable")


if __name__ == "__main__":
    sys.exit(_launch())
