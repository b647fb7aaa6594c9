"""Questions to ClickHouse: they can't write, they are bounded, and the same one is asked once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.clickhouse.migrate import migrate
from pipeline.clickhouse.questions import Store, StoreError
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    clickhouse = EmbeddedClickHouse(tmp_path_factory.mktemp("store"))
    asyncio.run(clickhouse.start())
    asyncio.run(migrate(Settings(**clickhouse.access)))
    yield clickhouse
    asyncio.run(clickhouse.stop())


@pytest.fixture
async def store(server: EmbeddedClickHouse) -> AsyncIterator[Store]:
    found = Store(Settings(**server.access))
    yield found
    await found.close()


async def test_nothing_can_be_written(store: Store) -> None:
    for sql in ("INSERT INTO redriven_raw (stream, partition, offset) VALUES ('x', 0, 0)", "DROP TABLE redriven_raw"):
        client = await store.client()
        with pytest.raises(Exception, match=r"(?i)readonly"):
            await client.command(sql)
    assert (await store.ask("SELECT count() AS n FROM redriven_raw")).rows == [(0,)]


async def test_values_are_bound_and_never_read_as_sql(store: Store) -> None:
    evil = "x' OR 1=1 --"
    answer = await store.ask("SELECT {v:String} AS v", {"v": evil})
    assert (answer.columns, answer.rows) == (("v",), [(evil,)])


async def test_too_large_a_question_is_refused_and_explained(store: Store) -> None:
    with pytest.raises(StoreError) as found:
        await store.ask("SELECT number FROM numbers(100001)")
    assert found.value.kind == "limit"
    with pytest.raises(StoreError) as found:
        await store.ask("SELECT * FROM no_such_table")
    assert found.value.kind == "empty"
    assert store.problem is found.value


async def test_the_same_question_is_asked_once_and_its_answer_kept(store: Store, server: EmbeddedClickHouse) -> None:
    sql = "SELECT rand64() AS r"
    answers = await asyncio.gather(*(store.ask(sql, keep=30) for _ in range(5)))
    assert len({answer.rows[0] for answer in answers}) == 1
    assert (await store.ask(sql, keep=30)).rows == answers[0].rows
    assert (await store.ask(sql + " ", keep=0)).rows != (await store.ask(sql + " ", keep=0)).rows


async def test_what_is_remembered_may_ask_by_itself(store: Store) -> None:
    async def drawn(n: int) -> int:
        return int((await store.ask("SELECT {n:UInt8} AS n", {"n": n})).rows[0][0])

    # More than the questions that are asked at once: none waits for the others' turns.
    async with asyncio.timeout(30):
        work = [store.remembered(("drawn", n), 5, lambda n=n: drawn(n)) for n in range(6)]  # type: ignore[misc]
        assert await asyncio.gather(*work) == [0, 1, 2, 3, 4, 5]


async def test_a_failure_is_known_until_an_answer_comes(store: Store) -> None:
    async def swallowed() -> str:
        try:
            await store.ask("SELECT * FROM no_such_table")
        except StoreError:
            return "drawn without it"
        return "drawn"

    assert await store.remembered("part", 5, swallowed) == "drawn without it"
    assert store.problem is not None
    await store.ask("SELECT 2")
    assert store.problem is None


async def test_without_clickhouse_it_says_so_and_comes_back(server: EmbeddedClickHouse) -> None:
    away = Store(Settings(clickhouse_url="http://127.0.0.1:9"))
    with pytest.raises(StoreError) as found:
        await away.ask("SELECT 1")
    assert found.value.kind == "away"
    away.settings = Settings(**server.access)
    assert (await away.ask("SELECT 1 AS one")).rows == [(1,)]
    assert away.problem is None
    await away.close()


async def test_a_user_of_its_own_is_used_if_there_is_one() -> None:
    settings = Settings(dashboard_clickhouse_user="analyst", dashboard_clickhouse_password="secret")  # type: ignore[arg-type]
    assert Store(settings).settings.clickhouse_kwargs()["username"] == "analyst"
    assert Store(settings).settings.clickhouse_kwargs()["password"] == "secret"
    assert Store(Settings()).settings.clickhouse_user == "default"


_MIGRATES = """
import sys
from pipeline.cli.main import app
app(["migrate"], standalone_mode=False)
print(*(name for name in ("clickhouse_connect", "pandas", "pyarrow") if name in sys.modules))
"""


def test_who_inserts_waits_for_no_data_frames(server: EmbeddedClickHouse) -> None:
    """The driver would import pandas, where it is installed, to see whether a row is one."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _MIGRATES], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **server.environment, "PIPELINE_CLICKHOUSE_DATABASE": "frames"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "clickhouse_connect"
