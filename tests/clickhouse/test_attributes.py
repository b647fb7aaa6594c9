"""`user_attributes`: what was set and what was changed, by their times, whatever the order they came in."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from migrated import running

from pipeline.archiver.rows import STORED_AT, ArchiveBatch, with_time
from pipeline.clickhouse.client import Connection
from pipeline.collect.model import first_told
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.attributes import ATTRIBUTES_HEADER, attributes_value
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from schemas.plan_io import parse_plan
from tests import migrated

PLAN = parse_plan("product: T\nevents:\n  look:\n")
T = 1_790_000_000_000
#: When, how ("set", "first" or a change), and to what.
Told = tuple[int, str, dict[str, Any]]


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("attributes")) as clickhouse:
        yield clickhouse


@pytest.fixture(scope="module")
def settings(server: EmbeddedClickHouse) -> Settings:
    return asyncio.run(migrated.take(server))


def records(one: str, tellings: list[Told]) -> list[Record]:
    """The records that tell all this of an id, one a telling, in this order."""
    made = []
    for offset, (at, how, values) in enumerate(tellings):
        change = ("", "") if how in ("set", "first") else (how, f"c{offset}")
        value = attributes_value(one, first_told(T + at) if how == "first" else T + at, values, "web", *change)
        made.append(Record(offset, T, one.encode(), value, ((ATTRIBUTES_HEADER, b"1"),)))
    return made


async def stored(settings: Settings, told: list[Record]) -> None:
    """Store the records, each in a batch of its own."""
    connection = Connection(settings)
    try:
        for number, record in enumerate(told):
            batch = ArchiveBatch("main")
            batch.add(0, PartitionClassifier(PLAN, Validator(PLAN), 0, 1).classify([record]))
            for table, names, columns in batch.tables():
                if columns[0]:
                    await connection.insert(table, [*names, STORED_AT], with_time(columns, T + number), {})
    finally:
        await connection.close()


async def known(settings: Settings, one: str) -> dict[str, str]:
    connection = Connection(settings)
    try:
        found = await connection.query(f"SELECT name, value FROM user_attributes WHERE actor = '{one}' ORDER BY name")
        return {str(name): str(value) for name, value in found}
    finally:
        await connection.close()


_ids = count()
CASES: dict[str, tuple[list[Told], dict[str, str]]] = {
    "what is added to nothing is the number": ([(1, "add", {"n": 2})], {"n": "2"}),
    "numbers add up": ([(1, "set", {"n": 5}), (2, "add", {"n": 2}), (3, "add", {"n": -1.5})], {"n": "5.5"}),
    "what is set later counts anew": ([(1, "add", {"n": 2}), (2, "set", {"n": 1}), (3, "add", {"n": 3})], {"n": "4"}),
    "what is set at the same moment is set first": ([(2, "add", {"n": 2}), (2, "set", {"n": 1})], {"n": "3"}),
    "set once, then added to": ([(1, "first", {"n": 10}), (2, "add", {"n": 1})], {"n": "11"}),
    "what is there already isn't set once": ([(5_000, "add", {"n": 1}), (9_000, "first", {"n": 10})], {"n": "1"}),
    "a list grows": ([(1, "append", {"l": "x"}), (2, "append", {"l": ["y", "x"]})], {"l": '["x","y","x"]'}),
    "a value becomes a list": ([(1, "set", {"l": "a"}), (2, "append", {"l": "b"})], {"l": '["a","b"]'}),
    "a list that was set grows": ([(1, "set", {"l": [1, "ü"]}), (2, "prepend", {"l": [{"a": 2}]})],
                                  {"l": '[{"a":2},1,"ü"]'}),
    "only what isn't in it": ([(1, "set", {"l": ["a"]}), (2, "union", {"l": ["b", "a", "b"]})], {"l": '["a","b"]'}),
    "only what isn't in it, in front": ([(1, "set", {"l": ["a"]}), (2, "union_first", {"l": ["b", "a"]})],
                                        {"l": '["b","a"]'}),
    "out of it": ([(1, "set", {"l": ["a", "b", "a"]}), (2, "remove", {"l": "a"})], {"l": '["b"]'}),
    "out of nothing": ([(2, "remove", {"l": "a"})], {}),
    "taken away": ([(1, "set", {"a": 1, "b": 2}), (2, "unset", {"a": None})], {"b": "2"}),
    "taken away, and set again": ([(1, "set", {"a": 1}), (2, "unset", {"a": None}), (3, "set", {"a": 3})], {"a": "3"}),
    "all of it": ([(1, "set", {"a": 1, "b": 2}), (2, "clear", {}), (3, "add", {"c": 1})], {"c": "1"}),
    "all of it, though nothing was there": ([(2, "clear", {})], {}),
    "no list is endless": ([(1, "set", {"l": [*range(998)]}), (2, "append", {"l": [1, 2, 3]})],
                           {"l": json.dumps([*range(1, 998), 1, 2, 3], separators=(",", ":"))}),
    "quotes and backslashes": ([(1, "set", {"l": "a\"\\'"}), (2, "append", {"l": "b\"\\'"})],
                               {"l": r'''["a\"\\'","b\"\\'"]'''}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_an_attribute_is_what_was_set_and_done_to_it(settings: Settings, case: str) -> None:
    tellings, expected = CASES[case]
    for shuffled in range(2):
        one = f"u{next(_ids)}"
        told = records(one, tellings)
        if shuffled:
            # Late, out of order, and told again, as an SDK does that has lost the answer.
            random.Random(case).shuffle(told)
            told.append(told[0])
        await stored(settings, told)
        assert await known(settings, one) == expected


async def test_whoever_was_never_changed_has_what_was_set(settings: Settings) -> None:
    await stored(settings, records("$device:d1", [(1, "set", {"a": 1}), (2, "set", {"a": 2, "b": "x"})]))
    assert await known(settings, "$device:d1") == {"a": "2", "b": "x"}
