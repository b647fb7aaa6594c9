"""Columns as ClickHouse takes them at once: what it reads is what was given, whatever the texts hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from migrated import give_back, running, take

from pipeline.clickhouse import native
from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse

pytestmark = pytest.mark.usefixtures("needs_embedded")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("native")) as clickhouse:
        yield clickhouse


@pytest.fixture
async def connection(server: EmbeddedClickHouse) -> AsyncIterator[Connection]:
    taken = await take(server)
    made = Connection(taken)
    await made.run(
        lambda client: client.command(
            "CREATE TABLE told (n Int64, small UInt16, large UInt64, flag Bool, cents Decimal(18, 6), "
            "at DateTime64(3, 'UTC'), text String, kind LowCardinality(String)) ENGINE = MergeTree ORDER BY n"
        )
    )
    yield made
    await made.close()
    await give_back(server, taken)


NAMES = ("n", "small", "large", "flag", "cents", "at", "text", "kind")
TYPES = ("Int64", "UInt16", "UInt64", "Bool", "Decimal(18, 6)", "DateTime64(3, 'UTC')", "String",
         "LowCardinality(String)")  # fmt: skip
_BACK = (
    "SELECT n, small, large, flag, reinterpretAsInt64(cents), toUnixTimestamp64Milli(at), text, kind "
    "FROM told ORDER BY n"
)


async def stored(connection: Connection, blocks: list[list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """What ClickHouse has of these rows, given in these blocks."""
    await connection.run(lambda client: client.command("TRUNCATE TABLE told"))
    data = b""
    for rows in blocks:
        columns = [list(column) for column in zip(*rows, strict=True)]
        data += native.header(len(NAMES), len(rows)) + native.columns_of(NAMES, TYPES, columns)
    await connection.insert_native("told", NAMES, data)
    return [tuple(row) for row in await connection.query(_BACK)]


async def test_rows_of_literal_values(connection: Connection) -> None:
    rows = [
        (0, 0, 0, False, 0, 0, "", ""),
        (1, 65_535, 2**64 - 1, True, -19_900_000, 7_258_118_400_000, "u00000001", "ios"),
        (2, 7, 1, False, 1_000_000_000_000_000, 946_684_800_001, "多语言 ☃ 😀", "ios"),
        (3, 7, 1, True, 1, 1, "two\nlines\n", "\n"),
        (4, 7, 1, True, 1, 1, "x" * 127, "é" * 100),
    ]
    assert await stored(connection, [rows]) == rows
    assert await stored(connection, [rows[:1], rows[1:3], rows[3:]]) == rows
    assert await stored(connection, [rows[4:], rows[:1]]) == [rows[0], rows[4]]


@pytest.mark.parametrize("length", [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
async def test_texts_of_every_length(connection: Connection, length: int) -> None:
    """Their lengths take one to four bytes."""
    rows = [(i, 0, 0, False, 0, 0, text, "") for i, text in enumerate(["", "x" * length, "y", "é" * (length // 2)])]
    assert await stored(connection, [rows]) == rows


@pytest.mark.parametrize("kinds", [1, 2, 255, 256, 257, 65_535, 65_536, 65_537])
async def test_few_and_many_different_values(connection: Connection, kinds: int) -> None:
    """Their places take one, two or four bytes."""
    rows = [(i, 0, 0, False, 0, 0, "", f"kind {i % kinds}") for i in range(kinds + 3)]
    assert await stored(connection, [rows]) == rows


_TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["", "a", "\n", "\0", "a\nb", "é" * 64, "x" * 16_384]))
_ROWS = st.tuples(
    st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1), st.booleans(), st.integers(-(10**15), 10**15),
    st.integers(0, 7_258_118_400_000), _TEXTS, _TEXTS,
)  # fmt: skip


@given(st.lists(st.lists(_ROWS, min_size=1, max_size=20), min_size=1, max_size=3))
@example([[(0, 0, False, 0, 0, "\ud7ff\ue000", "\U0010ffff")]])
@settings(
    max_examples=settings.default.max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_what_is_read_is_what_was_given(connection: Connection, blocks: list[list[Any]]) -> None:
    each = iter(range(1_000))
    numbered = [[(next(each), *row) for row in rows] for rows in blocks]
    assert await stored(connection, numbered) == [row for rows in numbered for row in rows]


def test_texts_as_bytes_are_texts() -> None:
    assert native.texts([b"a", b"", b"bc\n"]) == native.texts(["a", "", "bc\n"]) == b"\x01a\x00\x03bc\n"
