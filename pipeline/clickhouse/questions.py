"""Questions to ClickHouse: read only, bounded in time, memory and rows, each asked once for all browsers.

An answer is kept for some seconds, and beyond them as long as nothing was stored since: asked again, it would be the
same. A question that nobody waits for any more is ended, in ClickHouse too: its connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import SecretStr

from pipeline.clickhouse import codes
from pipeline.clickhouse.client import CONNECTION_ERRORS, connect, error_code
from pipeline.process import cancelled
from pipeline.settings import Settings

log = logging.getLogger(__name__)

#: What every question is asked with. readonly=2: no writes, whoever asks; a user of its own makes it sure.
LIMITS: Final = {
    "readonly": 2,
    "max_execution_time": 30,
    "max_memory_usage": 2_000_000_000,
    "max_result_rows": 100_000,
    "result_overflow_mode": "throw",
    # Whoever has left the page no longer waits for the answer.
    "cancel_http_readonly_queries_on_client_close": 1,
}
#: Questions that are asked at the same time: the store has other work too.
_AT_ONCE: Final = 2
_KEPT_ANSWERS: Final = 200
#: Answers that are kept so long (seconds) are worth asking whether anything was stored since; and none is kept longer.
_WORTH_A_LOOK, _OLDEST = 10.0, 3600.0
#: So old may be what is known of the data.
_VERSION_SECONDS: Final = 1.0
#: Whoever asks has come for something else: a ClickHouse that is slow to say is asked the question itself.
_VERSION_WAIT: Final = 2.0
#: Changes with every row that is stored, every mutation and every new definition (and now and then with a merge, which
#: does no harm). Live windows are left out: they follow the events. A user who may only read the database may ask it.
_VERSION: Final = """\
SELECT sum(cityHash64(name, ifNull(total_rows, 0), ifNull(total_bytes, 0))), max(metadata_modification_time)
FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, 'live_')"""


class StoreError(Exception):
    """A question that got no answer. `kind` says what a person can do: away, empty, limit, denied or other."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail


@dataclass(frozen=True)
class Rows:
    """Column names and rows, and how long it took."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    ms: float = 0.0

    def dicts(self) -> list[dict[str, Any]]:
        """The rows by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass
class _Kept:
    """An answer: until when it is taken as it is (monotonic seconds), when it was got, and of which data."""

    until: float
    got: float
    result: Any
    version: Any


@dataclass
class _Asking:
    """Work under way, and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


class Store:
    """Asks, and remembers answers for a few seconds; the same question at the same time is asked once."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        if settings.dashboard_clickhouse_user:
            settings = settings.model_copy(
                update={
                    "clickhouse_user": settings.dashboard_clickhouse_user,
                    "clickhouse_password": settings.dashboard_clickhouse_password or SecretStr(""),
                }
            )
        self.settings = settings
        self._clock = clock
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._answers: dict[Any, _Kept] = {}
        self._asking: dict[Any, _Asking] = {}
        #: What failed last, None while all is well.
        self.problem: StoreError | None = None

    async def ask(self, sql: str, parameters: Mapping[str, Any] | None = None, *, keep: float = 3.0) -> Rows:
        """The answer to a query with bound parameters, at most `keep` seconds old. Raises StoreError."""
        key = (sql, repr(sorted((parameters or {}).items())))
        found: Rows = await self.cached(key, keep, lambda: self._ask(sql, parameters or {}))
        return found

    async def cached(self, key: Any, keep: float, work: Callable[[], Awaitable[Any]], *, stale: float = 0.0) -> Any:
        """What `work`, one question, gives: remembered for `keep` seconds and asked once. Raises StoreError."""
        return await self.remembered(key, keep, lambda: self._in_turn(work), stale=stale)

    async def remembered(self, key: Any, keep: float, work: Callable[[], Awaitable[Any]], *, stale: float = 0.0) -> Any:
        """What `work` gives, remembered for `keep` seconds, done once at a time. It may ask questions.

        For `stale` seconds more nobody waits for it to be done anew: they get what is known, and others the new.
        """
        held = self._answers.get(key)
        if held is not None and (held.until > self._clock() or await self._still_so(held)):
            return held.result
        asking = self._asking.get(key)
        if asking is None:
            asking = _Asking(asyncio.create_task(self._keep(key, keep, work)))
            self._asking[key] = asking
            asking.task.add_done_callback(lambda task: self._done(key, asking, task))
        asking.waiting += 1
        if held is not None and self._clock() - held.until < stale:
            return held.result  # somebody waits for ever: it is done to its end
        try:
            # A browser that goes away must not take the answer from the others.
            return await asyncio.shield(asking.task)
        finally:
            asking.waiting -= 1
            if not asking.waiting and not asking.task.done():
                self._forget(key, asking)
                asking.task.cancel()

    def held(self, key: Any) -> Any:
        """What was remembered last under that key, however old it is; None if there is nothing. Asks nobody."""
        found = self._answers.get(key)
        return None if found is None else found.result

    async def client(self) -> Any:
        """The connection, with the limits set for every query. For libraries that ask by themselves."""
        async with self._connecting:
            if self._client is None:
                client = await connect(self.settings)
                for name, value in LIMITS.items():
                    client.set_client_setting(name, value)
                self._client = client
            return self._client

    async def close(self) -> None:
        """End what is asked, and close the connection, if there is one."""
        for asking in list(self._asking.values()):
            await cancelled(asking.task)
        await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _done(self, key: Any, asking: _Asking, task: asyncio.Task[Any]) -> None:
        self._forget(key, asking)
        if not task.cancelled() and task.exception() is not None:
            log.debug("a question failed: %s", task.exception())  # whoever waits for it is told; perhaps nobody does

    def _forget(self, key: Any, asking: _Asking) -> None:
        if self._asking.get(key) is asking:
            del self._asking[key]

    async def _keep(self, key: Any, keep: float, work: Callable[[], Awaitable[Any]]) -> Any:
        # Of before the question: what is stored meanwhile may be missing in the answer.
        version = await self._version() if keep >= _WORTH_A_LOOK else None
        result = await work()
        while len(self._answers) >= _KEPT_ANSWERS:
            self._answers.pop(next(iter(self._answers)))
        self._answers.pop(key, None)
        now = self._clock()
        self._answers[key] = _Kept(now + keep, now, result, version)
        return result

    async def _still_so(self, held: _Kept) -> bool:
        """Whether nothing was stored since the answer was got."""
        if held.version is None or self._clock() - held.got > _OLDEST:
            return False
        return bool(held.version == await self._version())

    async def _version(self) -> Any:
        """Which data there are: the same as long as nothing is stored. None where that can't be known."""
        try:
            # Not in turn: it takes some milliseconds, and whoever waits for it holds up a page.
            async with asyncio.timeout(_VERSION_WAIT):
                answer = await self.remembered(_VERSION, _VERSION_SECONDS, lambda: self._ask(_VERSION, {}))
        except (*CONNECTION_ERRORS, ClickHouseError):
            return None
        return tuple(answer.rows[0])

    async def _in_turn(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Ask when it is our turn, and note whether ClickHouse answers."""
        try:
            async with self._at_once:
                result = await work()
        except (*CONNECTION_ERRORS, ClickHouseError) as exc:
            await self._disconnect()
            self.problem = explain(exc)
            raise self.problem from exc
        self.problem = None
        return result

    async def _ask(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        client = await self.client()
        began = time.monotonic()
        result = await client.query(sql, parameters=dict(parameters))
        rows = [tuple(row) for row in result.result_rows]
        return Rows(tuple(result.column_names), rows, (time.monotonic() - began) * 1000)


def explain(exc: BaseException) -> StoreError:
    """The error in the words of `StoreError`."""
    code = error_code(exc)
    detail = str(exc).strip().splitlines()[0][:300] if str(exc).strip() else type(exc).__name__
    if code in codes.NO_SCHEMA:
        return StoreError("empty", detail)
    if code in codes.TOO_MUCH:
        return StoreError("limit", detail)
    if code in codes.DENIED:
        return StoreError("denied", detail)
    if code is None:
        return StoreError("away", detail)
    return StoreError("other", detail)
