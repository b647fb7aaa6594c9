"""Connections to ClickHouse, and what to do when it is away: bounded retries, more slowly each time."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import aiohttp
import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from pipeline.clickhouse import codes
from pipeline.errors import DependencyError, UserError
from pipeline.settings import Settings
from schemas.plan import Plan

log = logging.getLogger(__name__)

T = TypeVar("T")

_CODE = re.compile(r"[Cc]ode:? (\d+)")
#: What a client raises when the server can't be reached or breaks off.
CONNECTION_ERRORS: Final = (aiohttp.ClientError, ConnectionError, TimeoutError, OSError)


async def connect(settings: Settings, *, database: bool = True) -> Any:
    """An asynchronous clickhouse-connect client. Raises what the client raises if the server is away.

    The driver is told that there is no pandas. It would import it at its first insert, to see whether that is a data
    frame: half a second in which a worker folds nothing and who migrates waits, and 60 MB. We pass none.
    """
    options.pd = options.pd_time_test = None
    return await clickhouse_connect.get_async_client(
        **settings.clickhouse_kwargs(),
        database=settings.clickhouse_database if database else None,
        autogenerate_session_id=False,
        compress=False,
    )


def error_code(exc: BaseException) -> int | None:
    """ClickHouse's code of an error, None if it has none."""
    found = _CODE.search(str(exc))
    return int(found.group(1)) if found else None


def is_transient(exc: BaseException) -> bool:
    """Whether trying again may help without anybody's doing."""
    if isinstance(exc, DatabaseError) and (code := error_code(exc)) is not None:
        return code in codes.TRANSIENT
    return isinstance(exc, (*CONNECTION_ERRORS, ClickHouseError))


class ClickHouseHealth:
    """Since when ClickHouse has been failing, and how."""

    def __init__(self) -> None:
        self.failing_since: float | None = None
        self.last_error = ""
        self.failures = 0

    def ok(self) -> None:
        """Note a success."""
        self.failing_since, self.last_error = None, ""

    def failed(self, exc: BaseException) -> None:
        """Note a failure."""
        self.failing_since = self.failing_since or time.monotonic()
        self.failures += 1
        self.last_error = f"{type(exc).__name__}: {str(exc)[:300]}"

    def problem(self) -> str | None:
        """A line for `/health`, None while all is well."""
        if self.failing_since is None:
            return None
        return f"failing for {time.monotonic() - self.failing_since:.0f} s: {self.last_error}"


class Connection:
    """A client that is made when needed and thrown away when it failed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        #: By table and columns: their types, so that an insert is one round trip and not two.
        self._types: dict[tuple[str, ...], Any] = {}
        self.health = ClickHouseHealth()

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """One attempt of `work(client)`; raises what it raises, and notes it."""
        try:
            if self._client is None:
                self._client = await connect(self._settings)
            result = await work(self._client)
        except (*CONNECTION_ERRORS, ClickHouseError) as exc:
            self.health.failed(exc)
            await self.close()
            raise
        self.health.ok()
        return result

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[Sequence[Any]]:
        """One attempt to ask for the rows of a query with bound parameters; raises what `run` raises."""

        async def work(client: Any) -> list[Sequence[Any]]:
            result = await client.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))
            return list(result.result_rows)

        return await self.run(work)

    async def insert(
        self, table: str, names: Sequence[str], columns: Sequence[Any], settings: dict[str, Any] | None = None
    ) -> None:
        """One attempt to insert whole columns; raises what `run` raises. Types are asked for once a connection."""

        async def work(client: Any) -> None:
            key = (table, *names)
            if key not in self._types:
                context = await client.create_insert_context(table, list(names))
                self._types[key] = context.column_types
            await client.insert(
                table, columns, list(names), column_types=self._types[key], column_oriented=True, settings=settings
            )

        await self.run(work)

    async def insert_native(
        self, table: str, names: Sequence[str], data: bytes, settings: dict[str, Any] | None = None
    ) -> None:
        """One attempt to insert blocks of the Native format (`native`); raises what `run` raises."""
        await self.run(lambda client: client.raw_insert(table, list(names), data, settings, "Native"))

    async def insist(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """Repeat an `attempt` (of `query` or `insert`) until it succeeds: at once, then every 0.2 to 15 s.

        An error that nobody but a person can mend (a dropped column) is repeated too, more slowly, and stays in
        `/health`: giving up would lose nothing either, but would not recover by itself.
        """
        delay = 0.2
        while True:
            try:
                return await attempt()
            except (*CONNECTION_ERRORS, ClickHouseError) as exc:
                log.warning("%s failed (%s): trying again in %.1f s", what, self.health.last_error, delay)
                await asyncio.sleep(delay * (0.75 + random.random() / 2))
                delay = min(delay * 2, 15.0 if is_transient(exc) else 30.0)

    async def close(self) -> None:
        """Close the client, if there is one."""
        client, self._client = self._client, None
        self._types.clear()
        if client is not None:
            await client.close()


async def require_stream(connection: Connection, settings: Settings, table: str) -> None:
    """Raise UserError, naming the streams that there are, unless `table` has rows of the stream of the settings."""
    streams = [row[0] for row in await connection.query(f"SELECT DISTINCT stream FROM {table} ORDER BY stream")]
    if streams and settings.stream not in streams:
        raise UserError(
            "{table} has nothing of the stream {stream}: set PIPELINE_STREAM to one of {known}",
            table=table, stream=settings.stream, known=", ".join(streams),
        )  # fmt: skip


async def require_product(connection: Connection, settings: Settings, plan: Plan) -> None:
    """Raise UserError, in one line, if the database is that of another product. Another version of the plan is fine.

    The database knows it from its catalogue of metrics; without one nothing says of which plan it is.
    """
    try:
        rows = await connection.query("SELECT product FROM installed_plan")
    except ClickHouseError as exc:
        if error_code(exc) not in codes.NO_SCHEMA:
            raise
        return
    if rows and rows[0][0] != plan.product:
        raise UserError(
            "{database} at {url} has the events of {product}, not of {own}: give its plan with --plan (or "
            "PIPELINE_PLAN)",
            database=settings.clickhouse_database, url=settings.clickhouse_url,
            product=repr(rows[0][0]), own=repr(plan.product),
        )  # fmt: skip


async def wait_for_clickhouse(settings: Settings, timeout: float = 60.0) -> None:
    """Return when the server answers; raises DependencyError if it does not in time."""
    deadline = time.monotonic() + timeout
    said = False
    while True:
        try:
            client = await connect(settings, database=False)
        except (*CONNECTION_ERRORS, ClickHouseError) as exc:
            if time.monotonic() > deadline or not is_transient(exc):
                raise DependencyError(
                    "ClickHouse at {url} does not answer ({why}): is it running, and are PIPELINE_CLICKHOUSE_URL, "
                    "_USER and _PASSWORD right?",
                    url=settings.clickhouse_url,
                    why=str(exc)[:200],
                ) from exc
            if not said:
                # A person waits for this: whoever reads nothing for a minute takes it for hanging.
                log.warning("waiting for ClickHouse at %s, %.0f s at most", settings.clickhouse_url, timeout)
                said = True
            await asyncio.sleep(0.5)
        else:
            await client.close()
            return
