"""Where statements end and data begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.embedded.statement import parse_statement


@pytest.mark.parametrize(
    ("query", "text", "name", "data"),
    [
        (b"INSERT INTO t (`a`) FORMAT Native\n\x00'\xff", b"INSERT INTO t (`a`)", "Native", b"\x00'\xff"),
        (b"insert into t format CSV 1,2", b"insert into t", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT CSV\r\n\n1", b"INSERT INTO t", "CSV", b"\n1"),
        (b"INSERT INTO t FORMAT TSV\n\n", b"INSERT INTO t", "TSV", b"\n"),
        (b"INSERT INTO t VALUES (1), (2)", b"INSERT INTO t", "Values", b" (1), (2)"),
        (b"INSERT INTO format FORMAT CSV 1", b"INSERT INTO format", "CSV", b"1"),
        (b"INSERT INTO db.values VALUES (1)", b"INSERT INTO db.values", "Values", b" (1)"),
        (
            b"INSERT INTO FUNCTION null('a Int8') VALUES (1)",
            b"INSERT INTO FUNCTION null('a Int8')",
            "Values",
            b" (1)",
        ),
        (b"INSERT INTO t /* FORMAT X */ FORMAT CSV\n1", b"INSERT INTO t /* FORMAT X */", "CSV", b"1"),
        (
            b"INSERT INTO t SETTINGS log_comment='it\\'s FORMAT x', async_insert=0 FORMAT JSONEachRow {}",
            b"INSERT INTO t SETTINGS log_comment='it\\'s FORMAT x', async_insert=0",
            "JSONEachRow",
            b"{}",
        ),
    ],
)
def test_an_insert_is_parted_from_its_data(query: bytes, text: bytes, name: str, data: bytes) -> None:
    statement = parse_statement(query)
    assert (statement.text, statement.format, query[statement.data_at or 0 :]) == (text, name, data)
    assert not statement.reads


@pytest.mark.parametrize(
    "query",
    [
        b"INSERT INTO t SELECT 1",
        b"INSERT INTO t (a) SELECT * FROM numbers(3) WHERE format = 1",
        b"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
        b"INSERT INTO t SELECT 'FORMAT CSV'",
        b"INSERT INTO t",
        b"CREATE TABLE t (a String DEFAULT 'FORMAT CSV') ENGINE = Memory",
    ],
)
def test_a_statement_without_data_stays_whole(query: bytes) -> None:
    statement = parse_statement(query)
    assert (statement.text, statement.data_at, statement.reads) == (query, None, False)


def test_input_of_an_insert_is_found() -> None:
    query = b"INSERT INTO t SELECT a + 1 FROM input ('a Int8') FORMAT CSV\n1\n"
    statement = parse_statement(query)
    assert statement.input_at is not None
    assert query[slice(*statement.input_at)] == b"input ("
    assert (statement.format, query[statement.data_at or 0 :]) == ("CSV", b"1\n")


@pytest.mark.parametrize(
    ("query", "name", "streams"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON", True),
        (b"select 1\n format Native\n;", "Native", True),
        (b"SELECT {format:String} -- FORMAT X", None, True),
        (b"SELECT format('{}', 'x') FROM (SELECT 1)", None, True),
        (b"SELECT 1 FORMAT TSV SETTINGS max_threads = 1", "TSV", True),
        (b"-- a comment\nWITH 1 AS x SELECT x", None, True),
        (b"(SELECT 1) UNION ALL (SELECT 2) FORMAT CSV", "CSV", True),
        (b"SHOW TABLES FORMAT JSON", "JSON", False),
        (b"DESCRIBE TABLE t", None, False),
    ],
)
def test_the_format_of_a_result_is_found(query: bytes, name: str | None, streams: bool) -> None:
    statement = parse_statement(query)
    assert (statement.text, statement.format, statement.streams, statement.reads) == (
        query,
        name,
        streams,
        True,
    )


@given(name=st.text(st.characters(exclude_characters="\\`", exclude_categories=["Cs"])), data=st.binary())
def test_data_is_never_looked_into(name: str, data: bytes) -> None:
    query = f"INSERT INTO `{name}` FORMAT Native\n".encode() + data
    statement = parse_statement(query)
    assert statement.text == f"INSERT INTO `{name}`".encode()
    assert query[statement.data_at or 0 :] == data


@given(st.binary())
def test_nothing_breaks_it(query: bytes) -> None:
    statement = parse_statement(query)
    assert query.startswith(statement.text)
