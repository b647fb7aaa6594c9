"""The embedded ClickHouse through clickhouse-connect, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import threading
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded.waiting import wait_until
from pipeline.embedded.clickhouse import EmbeddedClickHouse

pytestmark = pytest.mark.integration

Client = Any  # clickhouse-connect's classes are only partly typed
UTC = dt.UTC


@pytest.fixture
def client(server: EmbeddedClickHouse) -> Iterator[Client]:
    made = clickhouse_connect.get_client(host=server.host, port=server.port, password=server.users["default"])
    yield made
    made.close()


@pytest.fixture
async def async_client(server: EmbeddedClickHouse) -> AsyncIterator[Client]:
    made = await clickhouse_connect.get_async_client(
        host=server.host, port=server.port, password=server.users["default"]
    )
    yield made
    await made.close()


def new_table(client: Client, name: str, columns: str, rest: str = "ENGINE = MergeTree ORDER BY tuple()") -> str:
    client.command(f"CREATE OR REPLACE TABLE {name} ({columns}) {rest}")
    return name


# Queries


def test_a_client_starts_and_queries(client: Client) -> None:
    assert client.ping()
    assert client.command("SELECT 1") == 1
    assert str(client.server_tz) == "UTC"
    result = client.query("SELECT number, toString(number) AS s FROM numbers(3)")
    assert result.column_names == ("number", "s")
    assert result.result_rows == [(0, "0"), (1, "1"), (2, "2")]
    assert client.query("SELECT 1 AS x LIMIT 0").column_names == ("x",)
    assert client.query("SELECT 1 WHERE 0").result_rows == []
    assert client.raw_query("SELECT 'a' AS x", fmt="JSONEachRow") == b'{"x":"a"}\n'


async def test_an_async_client_starts_and_queries(async_client: Client) -> None:
    assert await async_client.command("SELECT 1") == 1
    result = await async_client.query("SELECT number FROM numbers({n:UInt64})", parameters={"n": 3})
    assert result.result_rows == [(0,), (1,), (2,)]


PARAMETERS = {
    "text": 'it\'s \\ \t\n"quoted" {x:String} 数',
    "number": -(2**60),
    "texts": ["a'b", "c\\d", ""],
    "at": dt.datetime(2026, 1, 2, 3, 4, 5, 678000),
    "price": Decimal("12.345678"),
    "nothing": None,
}
PARAMETER_QUERY = (
    "SELECT {text:String}, {number:Int64}, {texts:Array(String)}, {at:DateTime64(3)},"
    " {price:Decimal(18, 6)}, {nothing:Nullable(String)}"
)


@pytest.mark.parametrize("form", [False, True])
def test_parameters_are_bound_by_the_server(server: EmbeddedClickHouse, form: bool) -> None:
    client = clickhouse_connect.get_client(
        host=server.host, port=server.port, password=server.users["default"], form_encode_query_params=form
    )
    try:
        assert client.query(PARAMETER_QUERY, parameters=PARAMETERS).result_rows == [tuple(PARAMETERS.values())]
        # Too long for a URL: clickhouse-connect sends a form.
        assert client.query("SELECT length({x:String})", parameters={"x": "y'" * 50_000}).result_rows == [(100_000,)]
    finally:
        client.close()


@settings(
    deadline=None,
    max_examples=settings.default.max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_a_parameter(client: Client, text: str) -> None:
    assert client.query("SELECT {x:String}", parameters={"x": text}).result_rows == [(text,)]


def test_settings_of_a_request_apply_to_it_alone(client: Client) -> None:
    query = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    assert client.command(query, settings={"max_block_size": 1234}) == 1234
    client.command("SET max_block_size = 99")
    assert client.command(query) not in (99, 1234)


def test_a_database_of_the_client_is_used(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS `other db`")
    other = clickhouse_connect.get_client(
        host=server.host, port=server.port, password=server.users["default"], database="other db"
    )
    try:
        new_table(other, "t", "a UInt8")
        other.insert("t", [[7]], column_names=["a"])
        assert other.command("SELECT a FROM t") == 7
        assert client.command("SELECT a FROM `other db`.t") == 7
    finally:
        other.close()


def test_arrow(client: Client) -> None:
    table = client.query_arrow("SELECT number AS n, 'a' AS s FROM numbers(3)")
    assert table.to_pydict() == {"n": [0, 1, 2], "s": ["a", "a", "a"]}


def test_a_long_result_is_streamed(client: Client) -> None:
    with client.query_rows_stream("SELECT number, toString(number) FROM numbers(300000)") as rows:
        assert sum(row[0] for row in rows) == 300_000 * 299_999 // 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("compress", [False, "lz4", "zstd"])
def test_an_error_in_the_middle_of_a_result_is_seen(server: EmbeddedClickHouse, compress: bool | str) -> None:
    client = clickhouse_connect.get_client(
        host=server.host, port=server.port, password=server.users["default"], compress=compress
    )
    query = "SELECT number, toString(number), throwIf(number = 2900000) FROM numbers(3000000)"
    try:
        with pytest.raises(StreamFailureError), client.query_rows_stream(query) as rows:
            assert sum(1 for _ in rows) < 3_000_000
    finally:
        client.close()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT * FROM no_such_table", 60),
        ("SELEC 1", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT no_such_column", 47),
        ("SELECT CAST('x', 'Array(UInt8)')", 130),
        ("SELECT toDate('2026-01-01') + [1]", 43),
        ("SELECT 1 IN ('x')", 53),
        ("SELECT toUInt8('x')", 6),
        ("SELECT * FROM no_such_database.t", 81),
        ("SELECT no_such_function()", 46),
        ("SELECT throwIf(1)", 395),
        ("CREATE TABLE system.numbers (a Int8) ENGINE = Memory", 57),
        ("SELECT {unbound:Int32}", 456),
    ],
)
def test_errors_carry_their_code(client: Client, query: str, code: int) -> None:
    with pytest.raises(DatabaseError, match=rf"Code: {code}\. DB::Exception") as caught:
        client.command(query)
    assert caught.value.code == code


def test_an_unknown_setting_is_an_error(client: Client) -> None:
    with pytest.raises(DatabaseError, match="Unknown setting 'no_such_setting'"):
        client.command("SELECT 1", settings={"no_such_setting": 1})


# Inserts

COLUMNS = {
    "id": "UInt64",
    "name": "LowCardinality(String)",
    "ts": "DateTime64(3, 'UTC')",
    "day": "Date",
    "maybe": "Nullable(Int32)",
    "revenue": "Decimal(18, 6)",
    "labels": "Map(String, String)",
    "properties": "JSON",
    "tags": "Array(String)",
    "ok": "Bool",
    "outcome": "Enum8('accepted' = 1, 'late' = 2)",
    "country": "LowCardinality(Nullable(String))",
    "sketch": "String",
}
ROW: dict[str, Any] = {
    "id": 2**64 - 1,
    "name": "sign_up",
    "ts": dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    "day": dt.date(2026, 1, 2),
    "maybe": None,
    "revenue": Decimal("-1234.567890"),
    "labels": {"channel": "mail", "": "it's"},
    "properties": {"plan": "pro", "seats": 3, "nested": {"a": [1, 2]}},
    "tags": ["a", "b'c"],
    "ok": True,
    "outcome": "late",
    "country": None,
    "sketch": "\x00\n'\t\\",
}


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_rows_of_every_type_come_back(server: EmbeddedClickHouse, compress: bool | str) -> None:
    client = clickhouse_connect.get_client(
        host=server.host, port=server.port, password=server.users["default"], compress=compress
    )
    try:
        table = new_table(client, f"types_{compress}", ", ".join(f"{n} {t}" for n, t in COLUMNS.items()))
        summary = client.insert(table, [list(ROW.values())] * 3, column_names=list(ROW))
        assert summary.written_rows == 3
        rows = client.query(f"SELECT * FROM {table}", tz_mode="aware").result_rows
        assert rows == [tuple(ROW.values())] * 3
    finally:
        client.close()


async def test_an_async_client_inserts(async_client: Client) -> None:
    await async_client.command("CREATE OR REPLACE TABLE async_rows (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    await async_client.insert("async_rows", [[1, "x"], [2, "y"]], column_names=["a", "b"])
    assert (await async_client.query("SELECT * FROM async_rows ORDER BY a")).result_rows == [
        (1, "x"),
        (2, "y"),
    ]


@pytest.mark.parametrize("compression", [None, "lz4", "gzip"])
def test_raw_rows_are_inserted(client: Client, compression: str | None) -> None:
    table = new_table(client, "raw_rows", "a UInt64, b String")
    block = b'{"a":1,"b":"it\'s"}\n{"b":"\\n","a":2}\n'
    compress = {None: bytes, "lz4": lz4.frame.compress, "gzip": gzip.compress}[compression]
    client.raw_insert(table, insert_block=compress(block), fmt="JSONEachRow", compression=compression)
    client.raw_insert(table, column_names=["b", "a"], insert_block="c,3\nd,4\n", fmt="CSV")
    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == [
        (1, "it's"),
        (2, "\n"),
        (3, "c"),
        (4, "d"),
    ]


def test_a_bad_row_refuses_the_whole_insert(client: Client) -> None:
    table = new_table(client, "bad_rows", "a UInt64")
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert(table, insert_block=b"1\n2\nthree\n", fmt="CSV")
    assert caught.value.code == 117
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_an_insert_is_one_part_and_a_repeated_one_is_dropped(client: Client) -> None:
    table = new_table(
        client,
        "once",
        "a UInt64, b String",
        "ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100",
    )
    rows = [[i, "x" * 100] for i in range(30_000)]
    for _ in range(2):
        client.insert(table, rows, column_names=["a", "b"])
    parts = f"SELECT rows FROM system.parts WHERE table = '{table}' AND active"
    assert client.query(parts).result_rows == [(30_000,)]


def test_rows_pass_through_input(client: Client) -> None:
    table = new_table(client, "through_input", "a UInt64, b String")
    client.command(
        f"INSERT INTO {table} SELECT a + {{plus:UInt8}}, upper(b) FROM input('a UInt64, b String') FORMAT CSV",
        data="1,x\n2,y\n",
        parameters={"plus": 10},
    )
    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == [(11, "X"), (12, "Y")]


def test_values_and_selects_are_inserted(client: Client) -> None:
    table = new_table(client, "values_rows", "a UInt64, b String")
    client.command(
        f"INSERT INTO {table} VALUES (1, 'a;b'), (1 + 1, lower('X')), ({{n:UInt8}}, ''')')",
        parameters={"n": 3},
    )
    client.command(f"INSERT INTO {table} SELECT number, 's' FROM numbers(4, 1)")
    assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == [
        (1, "a;b"),
        (2, "x"),
        (3, "')"),
        (4, "s"),
    ]


@settings(
    deadline=None,
    max_examples=settings.default.max_examples // 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_any_bytes_come_back_from_a_native_insert(client: Client, values: list[bytes]) -> None:
    table = new_table(client, "any_bytes", "i UInt32, b String")
    client.insert(table, [list(range(len(values))), values], column_names=["i", "b"], column_oriented=True)
    result = client.query(f"SELECT b FROM {table} ORDER BY i", query_formats={"String": "bytes"})
    assert [row[0] for row in result.result_rows] == values


# What the store and the metrics need of the engine


def test_the_newest_version_wins(client: Client) -> None:
    table = new_table(client, "versions", "k String, n UInt64, v UInt64", "ENGINE = ReplacingMergeTree(v) ORDER BY k")
    client.insert(table, [["a", 1, 5], ["b", 1, 5]], column_names=["k", "n", "v"])
    client.insert(table, [["a", 9, 4], ["b", 2, 6]], column_names=["k", "n", "v"])
    assert client.query(f"SELECT k, n FROM {table} FINAL ORDER BY k").result_rows == [("a", 1), ("b", 2)]


def test_parameterised_views_and_funnels(client: Client) -> None:
    table = new_table(client, "funnel_events", "u String, name String, ts DateTime64(3, 'UTC')")
    at = dt.datetime(2026, 1, 1, tzinfo=UTC)
    steps = [("x", "view", 0), ("x", "cart", 60), ("x", "pay", 90), ("y", "view", 0), ("y", "pay", 30)]
    client.insert(table, [[u, n, at + dt.timedelta(seconds=s)] for u, n, s in steps], column_names=["u", "name", "ts"])
    client.command(
        f"CREATE OR REPLACE VIEW funnel AS SELECT u, windowFunnel(3600000)"
        f"(toUInt64(toUnixTimestamp64Milli(ts)), name = 'view', name = 'cart', name = 'pay') AS level"
        f" FROM {table} WHERE toDate(ts) = {{day:Date}} GROUP BY u"
    )
    query = "SELECT u, level FROM funnel(day = '2026-01-01') ORDER BY u"
    assert client.query(query).result_rows == [("x", 3), ("y", 1)]
    assert client.query("SELECT count() FROM funnel(day = '2026-01-02')").result_rows == [(0,)]
    assert client.query(f"DESCRIBE TABLE {table}").result_rows[0][:2] == ("u", "String")


# Several clients


def test_slow_queries_hold_up_neither_inserts_nor_short_queries(server: EmbeddedClickHouse, client: Client) -> None:
    table = new_table(client, "meanwhile", "a UInt64")
    slow = [
        clickhouse_connect.get_client(host=server.host, port=server.port, password=server.users["default"])
        for _ in range(5)
    ]
    threads = [threading.Thread(target=c.command, args=["SELECT sleep(3)"]) for c in slow]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sleep(3)%' AND query NOT LIKE '%processes%'"
    wait_until(lambda: client.command(running) == 5)
    client.insert(table, [[1]], column_names=["a"])
    assert client.command(f"SELECT a FROM {table}") == 1
    assert time.monotonic() - started < 3
    for thread in threads:
        thread.join()
    for c in slow:
        c.close()


async def test_the_query_of_a_client_that_went_away_is_cancelled(async_client: Client, client: Client) -> None:
    query = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    running = f"SELECT count() FROM system.processes WHERE query LIKE '{query}%'"
    task = asyncio.create_task(async_client.query(query))
    await asyncio.to_thread(wait_until, lambda: client.command(running) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_until, lambda: client.command(running) == 0)


def test_a_query_that_needs_too_much_memory_is_refused_and_the_server_lives_on(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.command("SELECT length(groupArray(repeat('x', 1000))) FROM numbers(10000000)")
    assert caught.value.code == 241
    assert client.command("SELECT 1") == 1
