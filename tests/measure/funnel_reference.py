"""ClickHouse as the reference for funnels: chDB in a child process, as one process can open one chDB only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from hypothesis import strategies as st

MODES = ("strict_deduplication", "strict_increase", "strict_once", "strict_order")

_CHILD = """
import json, sys, chdb
for line in sys.stdin:
    try:
        answer = str(chdb.query(json.loads(line), "JSONCompactEachRow"))
    except Exception as exc:
        answer = "error: " + str(exc)
    print(json.dumps(answer), flush=True)
"""


class Reference:
    """One chDB, in memory. It ends with the `with` block."""

    def __enter__(self) -> Reference:
        self._child = subprocess.Popen(
            [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.communicate(timeout=30)  # end of its input ends it

    def query(self, sql: str) -> list[list[Any]]:
        """The rows of the answer."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(sql) + "\n")
        self._child.stdin.flush()
        answer: str = json.loads(self._child.stdout.readline())
        assert not answer.startswith("error: "), f"{answer}\n{sql}"
        return [json.loads(line) for line in answer.splitlines()]


def table(rows: Iterable[tuple[Any, int, int, str]]) -> str:
    """A sub-query with these rows (actor, ts, code, value); one string is quicker to parse than an array."""
    text = "\x1e".join("\x1f".join(str(field) for field in row) for row in rows)
    literal = text.replace("\\", "\\\\").replace("'", "\\'")
    return (
        "(SELECT f[1] AS actor, toUInt64(f[2]) AS ts, toUInt32(f[3]) AS code, f[4] AS v FROM "
        f"(SELECT splitByChar('\x1f', arrayJoin(splitByChar('\x1e', '{literal}'))) AS f))"
    )


def conditions(steps: int) -> tuple[str, ...]:
    """The steps' conditions over `table`."""
    return tuple(f"bitTest(code, {k})" for k in range(steps))


modes = st.sets(st.sampled_from(MODES)).map(frozenset)


@st.composite
def codes(draw: st.DrawFn, steps: int) -> int:
    """Mostly one step, early ones more often; at times several, none, or an exclusion."""
    kind = draw(st.integers(0, 9))
    if kind < 6:
        return 1 << min(draw(st.integers(0, steps - 1)), draw(st.integers(0, steps - 1)))
    if kind < 9:
        return draw(st.integers(0, (1 << steps) - 1))
    return draw(st.integers(1 << steps, (2 << steps) - 1)) if draw(st.booleans()) else 1 << steps
