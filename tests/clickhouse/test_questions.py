"""Questions to ClickHouse: they can't write, they are bounded, and the same one is asked once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from migrated import running

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.migrate import migrate
from pipeline.clickhouse.questions import Store, StoreError
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("store")) as clickhouse:
        asyncio.run(migrate(Settings(**clickhouse.access)))
        yield clickhouse


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


async def _running(server: EmbeddedClickHouse, mark: str) -> int:
    other = Store(Settings(**server.access))
    try:
        sql = (
            "SELECT count() FROM system.processes WHERE query LIKE concat('%', {mark:String}, '%') "
            "AND query NOT LIKE '%system.processes%'"
        )
        return int((await other.ask(sql, {"mark": mark}, keep=0)).rows[0][0])
    finally:
        await other.close()


async def _until(server: EmbeddedClickHouse, mark: str, count: int) -> None:
    async with asyncio.timeout(20):
        while await _running(server, mark) != count:
            await asyncio.sleep(0.05)


async def test_a_question_that_nobody_waits_for_any_more_is_ended(store: Store, server: EmbeddedClickHouse) -> None:
    """Of two that wait for it, one goes: it goes on. The other goes: ClickHouse is relieved of it."""
    sql = "SELECT count() FROM numbers_mt(40000000000) WHERE NOT ignore(sipHash64(number, 'left'))"
    first, second = (asyncio.create_task(store.ask(sql, keep=30)) for _ in range(2))
    await _until(server, "'left'", 1)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert await _running(server, "'left'") == 1
    second.cancel()
    await _until(server, "'left'", 0)
    assert store.problem is None
    # Its place is free again, for the same question too.
    assert (await store.ask("SELECT 3 AS n")).rows == [(3,)]


async def test_whoever_asks_what_was_just_left_gets_an_answer(store: Store) -> None:
    sql = "SELECT sleep(0.3) AS slept"
    left = asyncio.create_task(store.ask(sql, keep=30))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    assert (await store.ask(sql, keep=30)).rows == [(0,)]


async def test_an_answer_is_kept_as_long_as_nothing_is_stored(server: EmbeddedClickHouse) -> None:
    now = [1_000.0]
    store = Store(Settings(**server.access), clock=lambda: now[0])
    sql = "SELECT (SELECT count() FROM redriven_raw) AS n, rand64() AS r"
    writer = await connect(Settings(**server.access))
    try:
        first = (await store.ask(sql, keep=10)).rows
        now[0] += 1_000  # long after its seconds
        assert (await store.ask(sql, keep=10)).rows == first
        await writer.command("INSERT INTO redriven_raw (stream, partition, offset) VALUES ('x', 0, 1)")
        now[0] += 2
        second = (await store.ask(sql, keep=10)).rows
        assert second[0][0] == first[0][0] + 1
        await writer.command("ALTER TABLE redriven_raw DELETE WHERE offset = 1 SETTINGS mutations_sync = 2")
        now[0] += 1_000
        third = (await store.ask(sql, keep=10)).rows
        assert third[0][0] == first[0][0]
        # Nothing is kept for ever, and what changes by the second is not kept beyond its seconds.
        now[0] += 3_601
        assert (await store.ask(sql, keep=10)).rows != third
        live = (await store.ask(sql + " ", keep=1)).rows
        now[0] += 2
        assert (await store.ask(sql + " ", keep=1)).rows != live
    finally:
        await writer.close()
        await store.close()


async def test_another_definition_is_another_answer(server: EmbeddedClickHouse) -> None:
    now = [1_000.0]
    store = Store(Settings(**server.access), clock=lambda: now[0])
    writer = await connect(Settings(**server.access))
    try:
        await writer.command("CREATE OR REPLACE VIEW answer_of AS SELECT 1 AS n")
        assert (await store.ask("SELECT n FROM answer_of", keep=10)).rows == [(1,)]
        await asyncio.sleep(1.1)  # the time of a definition has whole seconds
        await writer.command("CREATE OR REPLACE VIEW answer_of AS SELECT 2 AS n")
        now[0] += 11
        assert (await store.ask("SELECT n FROM answer_of", keep=10)).rows == [(2,)]
    finally:
        await writer.command("DROP VIEW answer_of")
        await writer.close()
        await store.close()


async def test_nobody_waits_for_what_is_known_to_be_counted_anew(server: EmbeddedClickHouse) -> None:
    now, done, go = [1_000.0], list[int](), asyncio.Event()
    store = Store(Settings(**server.access), clock=lambda: now[0])

    async def work() -> int:
        done.append(1)
        if len(done) > 1:
            await go.wait()
        return len(done)

    try:
        assert await store.remembered("k", 5, work, stale=100) == 1
        now[0] += 50
        # Old, and counted anew meanwhile, once.
        assert [await store.remembered("k", 5, work, stale=100) for _ in range(3)] == [1, 1, 1]
        go.set()
        async with asyncio.timeout(20):
            while store.held("k") == 1:
                await asyncio.sleep(0.01)
        assert (await store.remembered("k", 5, work, stale=100), len(done)) == (2, 2)
        # Too old to be shown.
        now[0] += 106
        assert await store.remembered("k", 5, work, stale=100) == 3
        # What fails behind the scenes is asked again by the next one.
        now[0] += 50

        async def fails() -> int:
            raise StoreError("away", "gone")

        assert await store.remembered("k", 5, fails, stale=100) == 3
        await asyncio.sleep(0)
        now[0] += 100
        with pytest.raises(StoreError):
            await store.remembered("k", 5, fails, stale=100)
    finally:
        await store.close()


async def test_what_is_counted_behind_the_scenes_ends_with_the_store(server: EmbeddedClickHouse) -> None:
    now = [1_000.0]
    store = Store(Settings(**server.access), clock=lambda: now[0])
    slow = "SELECT count() FROM numbers_mt(40000000000) WHERE NOT ignore(sipHash64(number, 'behind'))"

    async def quick() -> int:
        return 1

    async def work() -> int:
        return int((await store.ask(slow)).rows[0][0])

    assert await store.remembered("k", 5, quick, stale=100) == 1
    now[0] += 50
    assert await store.remembered("k", 5, work, stale=100) == 1
    await _until(server, "'behind'", 1)
    await store.close()
    await _until(server, "'behind'", 0)
