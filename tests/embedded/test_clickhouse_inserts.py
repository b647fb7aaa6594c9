"""A 200 is a promise: whatever way rows are inserted, they are stored when it is given, and else there is an error."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from small_disk import fill, small_disk

from pipeline.embedded.clickhouse import EmbeddedClickHouse

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]
_numbers = itertools.count()


class Database:
    """One server as a client without a library sees it."""

    def __init__(self, server: EmbeddedClickHouse) -> None:
        self.server = server

    def ask(self, sql: str, data: bytes = b"", **parameters: str) -> tuple[int, str]:
        """Status and text of the answer to a POST: the statement in the URL where there are data."""
        query = parameters | ({"query": sql} if data else {})
        request = urllib.request.Request(
            f"{self.server.url}/?{urllib.parse.urlencode(query)}",
            data=data or sql.encode(),
            headers={"X-ClickHouse-Key": self.server.users["default"]}
            | ({"Content-Encoding": "gzip"} if data[:2] == b"\x1f\x8b" else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def run(self, sql: str) -> str:
        status, text = self.ask(sql)
        assert status == 200, text
        return text

    def table(self, columns: str, rest: str = "ENGINE = MergeTree ORDER BY a") -> str:
        name = f"inserted{next(_numbers)}"
        self.run(f"CREATE TABLE {name} ({columns}) {rest}")
        return name


@pytest.fixture
def database(server: EmbeddedClickHouse) -> Database:
    return Database(server)


@pytest.fixture
def client(server: EmbeddedClickHouse) -> Iterator[Client]:
    made = clickhouse_connect.get_client(host=server.host, port=server.port, password=server.users["default"])
    yield made
    made.close()


#: Each puts the rows 5 and 20 into a table; 20 is not allowed there.
WAYS = {
    "values in the body": ("INSERT INTO {t} VALUES (5), (20)", b""),
    "values in the URL": ("INSERT INTO {t} VALUES", b"(5), (20)"),
    "values that are worked out": ("INSERT INTO {t} VALUES (2 + 3), (4 * 5)", b""),
    "a format in the body": ("INSERT INTO {t} FORMAT CSV\n5\n20\n", b""),
    "a format in the URL": ("INSERT INTO {t} (a) FORMAT TSV", b"5\n20\n"),
    "JSON": ("INSERT INTO {t} FORMAT JSONEachRow", b'{"a": 5}\n{"a": 20}\n'),
    "binary rows": ("INSERT INTO {t} FORMAT RowBinary", b"\x05\x00\x00\x00\x14\x00\x00\x00"),
    "native": ("INSERT INTO {t} FORMAT Native", b"\x01\x02\x01a\x05Int32\x05\x00\x00\x00\x14\x00\x00\x00"),
    "compressed": ("INSERT INTO {t} FORMAT CSV", gzip.compress(b"5\n20\n")),
    "a query": ("INSERT INTO {t} SELECT arrayJoin([5, 20])", b""),
    "input()": ("INSERT INTO {t} SELECT a FROM input('a Int32') FORMAT CSV", b"5\n20\n"),
    "with settings": ("INSERT INTO {t} SETTINGS max_insert_block_size = 1000 FORMAT CSV", b"5\n20\n"),
    "with a comment": ("INSERT INTO {t} (a) -- as it comes\n FORMAT CSV\n5\n20\n", b""),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_violated_constraint_is_an_error_and_nothing_is_stored(database: Database, way: str) -> None:
    sql, data = WAYS[way]
    table = database.table("a Int32, CONSTRAINT small CHECK a < 10")
    status, text = database.ask(sql.format(t=table), data)
    assert (status, text[:52]) == (500, "Code: 469. DB::Exception: Constraint `small` for tab")
    assert database.run(f"SELECT count() FROM {table}") == "0\n"
    free = database.table("a Int32")
    assert database.ask(sql.format(t=free), data)[0] == 200
    assert database.run(f"SELECT groupArray(a) FROM (SELECT a FROM {free} ORDER BY a)") == "[5,20]\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wait", ["0", "1"])
def test_an_asynchronous_insert_is_stored_when_it_is_acknowledged(database: Database, way: str, wait: str) -> None:
    sql, data = WAYS[way]
    settings = {"async_insert": "1", "wait_for_async_insert": wait}
    table = database.table("a Int32")
    assert database.ask(sql.format(t=table), data, **settings)[0] == 200
    assert database.run(f"SELECT sum(a) FROM {table}") == "25\n"
    narrow = database.table("a Int32, CONSTRAINT small CHECK a < 10")
    assert database.ask(sql.format(t=narrow), data, **settings)[0] == 500


def test_more_than_a_hundred_partitions_in_a_block(database: Database) -> None:
    table = database.table("a Int32", "ENGINE = MergeTree ORDER BY a PARTITION BY a")
    status, text = database.ask(f"INSERT INTO {table} FORMAT CSV", b"".join(b"%d\n" % n for n in range(101)))
    assert (status, "TOO_MANY_PARTS" in text) == (500, True)
    assert database.run(f"SELECT count() FROM {table}") == "0\n"
    assert database.ask(f"INSERT INTO {table} FORMAT CSV", b"".join(b"%d\n" % n for n in range(100)))[0] == 200


#: Bodies of which the end can't be read.
BROKEN = {
    "CSV": b"".join(b"%d\n" % n for n in range(100_000)) + b"no number\n",
    "TSV": b"".join(b"%d\n" % n for n in range(100_000)) + b"5\t6\n",
    "JSONEachRow": b"".join(b'{"a": %d}\n' % n for n in range(100_000)) + b'{"a": ',
    "RowBinary": b"\x05\x00\x00\x00" * 100_000 + b"\x05\x00",
    "Native": b"\x01\x02\x01a\x05Int32\x05\x00\x00\x00\x14\x00",
    "Values": b",".join(b"(%d)" % n for n in range(10_000)) + b", (",
}


@pytest.mark.parametrize("form", BROKEN)
def test_of_a_body_whose_end_can_not_be_read_nothing_is_stored(database: Database, form: str) -> None:
    table = database.table("a Int32")
    for body in (BROKEN[form], gzip.compress(BROKEN[form])):
        status, text = database.ask(f"INSERT INTO {table} FORMAT {form}", body)
        assert status >= 400, text
        assert database.run(f"SELECT count() FROM {table}") == "0\n"
    cut = gzip.compress(b"5\n" * 1000)[:-20]
    assert database.ask(f"INSERT INTO {table} FORMAT CSV", cut)[0] >= 400
    assert database.run(f"SELECT count() FROM {table}") == "0\n"


def test_what_takes_too_much_memory_is_an_error_and_nothing_is_stored(database: Database) -> None:
    table = database.table("a String")
    for sql, data in (
        (f"INSERT INTO {table} SELECT repeat('x', 1000) || toString(number) FROM numbers(300000)", b""),
        (f"INSERT INTO {table} FORMAT CSV", b"".join(b"%d%s\n" % (n, b"x" * 1000) for n in range(50_000))),
    ):
        status, text = database.ask(sql, data, max_memory_usage="20000000")
        assert (status, "MEMORY_LIMIT_EXCEEDED" in text) == (500, True), text
        assert database.run(f"SELECT count() FROM {table}") in ("0\n",)


def test_of_many_that_insert_at_once_each_row_that_was_acknowledged_is_stored(database: Database) -> None:
    table = database.table("a Int32, CONSTRAINT small CHECK a % 7 != 3")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: database.ask(f"INSERT INTO {table} VALUES ({n})")[0], range(150)))
    assert answers == [500 if n % 7 == 3 else 200 for n in range(150)]
    assert database.run(f"SELECT count(), uniqExact(a), countIf(a % 7 = 3) FROM {table}") == "129\t129\t0\n"


def test_too_many_parts(database: Database) -> None:
    table = database.table("a Int32", "ENGINE = MergeTree ORDER BY a SETTINGS parts_to_throw_insert = 3")
    database.run(f"SYSTEM STOP MERGES {table}")
    answers = [database.ask(f"INSERT INTO {table} FORMAT CSV", b"%d\n" % n) for n in range(6)]
    stored = int(database.run(f"SELECT count() FROM {table}"))
    assert [status for status, _ in answers] == [200] * stored + [500] * (6 - stored)
    assert stored < 6
    assert "TOO_MANY_PARTS" in answers[-1][1]


def test_through_a_materialized_view_that_fails_nothing_is_acknowledged(database: Database) -> None:
    source = database.table("a Int32", "ENGINE = Null")
    target = database.table("a Int32, CONSTRAINT small CHECK a < 10")
    database.run(f"CREATE MATERIALIZED VIEW {source}_view TO {target} AS SELECT a FROM {source}")
    assert database.ask(f"INSERT INTO {source} FORMAT CSV", b"20\n")[0] == 500
    assert database.ask(f"INSERT INTO {source} FORMAT CSV", b"5\n")[0] == 200
    assert database.run(f"SELECT a FROM {target}") == "5\n"


def test_a_view_that_calls_an_error_is_one(database: Database) -> None:
    source = database.table("a Int32")
    target = database.table("a Int32")
    database.run(f"CREATE MATERIALIZED VIEW {source}_view TO {target} AS SELECT throwIf(a > 9) + a AS a FROM {source}")
    assert database.ask(f"INSERT INTO {source} VALUES (20)")[0] == 500
    assert database.run(f"SELECT count() FROM {target}") == "0\n"


@pytest.mark.parametrize("form", ["CSV", "TSV", "JSONEachRow", "Native", "Values"])
def test_no_rows_are_no_error(database: Database, form: str) -> None:
    table = database.table("a Int32")
    assert database.ask(f"INSERT INTO {table} FORMAT {form}\n") == (200, "")
    assert database.run(f"SELECT count() FROM {table}") == "0\n"


def test_the_same_block_twice_is_stored_once_where_the_table_says_so(database: Database) -> None:
    table = database.table("a Int32", "ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10")
    assert [database.ask(f"INSERT INTO {table} FORMAT CSV", b"5\n6\n")[0] for _ in range(3)] == [200] * 3
    assert database.run(f"SELECT a FROM {table} ORDER BY a") == "5\n6\n"


def test_one_insert_is_one_part(database: Database) -> None:
    table = database.table("a Int32")
    assert database.ask(f"INSERT INTO {table} FORMAT CSV", b"".join(b"%d\n" % n for n in range(300_000)))[0] == 200
    assert database.run(f"SELECT uniqExact(_part), count() FROM {table}") == "1\t300000\n"


def test_defaults_of_columns_that_are_left_out(database: Database) -> None:
    table = database.table("a Int32, b Int32 DEFAULT a * 2, c String MATERIALIZED upper(d), d String EPHEMERAL 'x'")
    assert database.ask(f"INSERT INTO {table} FORMAT JSONEachRow", b'{"a": 1}\n{"a": 2, "b": 7}')[0] == 200
    assert database.ask(f"INSERT INTO {table} (a, d) FORMAT CSV", b"3,y\n")[0] == 200
    assert database.run(f"SELECT a, b, c FROM {table} ORDER BY a") == "1\t2\tX\n2\t7\tX\n3\t6\tY\n"


def test_a_second_statement_is_never_run(database: Database) -> None:
    table = database.table("a Int32")
    for sql in (
        f"INSERT INTO {table} (a); DROP TABLE {table} FORMAT CSV\n1\n",
        f"INSERT INTO {table} SELECT a FROM input('a Int32'); DROP TABLE {table} FORMAT CSV\n1\n",
        f"INSERT INTO {table} SELECT 1; DROP TABLE {table}",
        f"SELECT 1; DROP TABLE {table}",
    ):
        assert database.ask(sql)[0] == 400, sql
        assert database.run(f"EXISTS TABLE {table}") == "1\n"


@pytest.mark.parametrize("compress", [False, "lz4", "gzip", "zstd"])
def test_the_driver_is_told(database: Database, client: Client, compress: bool | str) -> None:
    table = database.table("a Int32, CONSTRAINT small CHECK a < 10")
    server = database.server
    other = clickhouse_connect.get_client(
        host=server.host, port=server.port, password=server.users["default"], compress=compress
    )
    with pytest.raises(DatabaseError, match="Code: 469"):
        other.insert(table, [[5], [20]], column_names=["a"])
    other.insert(table, [[5]], column_names=["a"])
    other.close()
    assert client.query(f"SELECT a FROM {table}").result_rows == [(5,)]


@pytest.fixture
def disk(needs_mount: None, tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", 48) as folder:
        yield folder


def test_on_a_full_disk_what_is_acknowledged_is_stored(disk: Path) -> None:
    server = EmbeddedClickHouse(disk, memory_limit=1 << 30)
    asyncio.run(server.start())
    try:
        database = Database(server)
        table = database.table("a UInt64, b String")
        filler = fill(disk, 2 << 20)
        acknowledged, refused = 0, 0
        for _ in range(40):
            rows = b"".join(b"%d,%b\n" % (n, os.urandom(60).hex().encode()) for n in range(1_000))
            status, text = database.ask(f"INSERT INTO {table} FORMAT CSV", rows)
            if status == 200:
                acknowledged += 1_000
            else:
                refused += 1
                assert "No space left on device" in text or "NOT_ENOUGH_SPACE" in text
        assert refused > 0
        filler.unlink()
        assert database.run(f"SELECT count() FROM {table}") == f"{acknowledged}\n"
        assert database.ask(f"INSERT INTO {table} FORMAT CSV", b"1,x\n")[0] == 200
        assert database.run(f"SELECT count() FROM {table}") == f"{acknowledged + 1}\n"
    finally:
        asyncio.run(server.stop())
