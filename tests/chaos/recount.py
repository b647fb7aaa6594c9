"""The truth: the topic read back and counted in plain Python, and its comparison with what the system says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from kafka_harness.reading import read_log

from pipeline.queries.verify import verify
from pipeline.simulate import Logged, expected
from schemas.plan import Plan

from .world import World

_ORIGIN = "streamgauge-origin"
_MINUTE, _DAY = 60_000, 86_400_000


class Counted(NamedTuple):
    """A stored event."""

    event: str
    ts: int
    platform: str
    value_micro: int
    late: bool


@dataclass
class Truth:
    """What must have become of each record. Keys of places are (partition, offset)."""

    outcomes: dict[int, Counter[str]] = field(default_factory=dict)
    events: dict[tuple[int, int], Counted] = field(default_factory=dict)
    duplicates: set[tuple[int, int]] = field(default_factory=set)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    forwarded: set[tuple[int, int]] = field(default_factory=set)
    forwarded_again: set[tuple[int, int]] = field(default_factory=set)
    #: Origins named by records that were sent on.
    sent_on: set[tuple[int, int]] = field(default_factory=set)

    @property
    def records(self) -> int:
        """Records in the log."""
        return sum(sum(counts.values()) for counts in self.outcomes.values())

    def totals(self) -> Counter[str]:
        """Records by outcome."""
        return sum(self.outcomes.values(), Counter())

    def summary(self) -> str:
        """One line."""
        return ", ".join(f"{count} {name}" for name, count in sorted(self.totals().items()))


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    return int(partition), int(offset)


async def truth_of(world: World) -> Truth:
    """Read the events topic and count."""
    logs = await read_log(world.settings.kafka_bootstrap, world.settings.events_topic)
    plain: dict[int, list[Logged]] = {}
    truth = Truth()
    for partition, records in logs.items():
        plain[partition] = []
        for record in records:
            origin = dict(record.headers).get(_ORIGIN)
            by_broker = record.timestamp_type == 1
            plain[partition].append(
                Logged(record.timestamp, record.value, origin.decode() if origin else None, by_broker)
            )
            if origin:
                truth.sent_on.add(_place(origin.decode()))
    for partition, outcomes in expected(plain, world.plan, world.settings.partitions).items():
        truth.outcomes[partition] = Counter(outcomes)
        for record, outcome in zip(logs[partition], outcomes, strict=True):
            place = (partition, record.offset)
            if outcome in ("accepted", "late"):
                truth.events[place] = _counted(record.value, world.plan, outcome == "late")
            elif outcome == "duplicate":
                truth.duplicates.add(place)
            else:
                getattr(truth, outcome).add(place)
    return truth


def _counted(value: bytes, plan: Plan, late: bool) -> Counted:
    fields = json.loads(value, parse_float=Decimal)
    name = plan.events[fields["event"]].value
    amount = fields.get("properties", {}).get(name) if name else None
    micro = int(Decimal(amount) * 1_000_000) if amount is not None else 0
    return Counted(fields["event"], fields["ts"], fields.get("platform") or "", micro, late)


class Differences(list[str]):
    """Figures that are not the same, in words."""

    def same(self, what: str, found: Any, right: Any) -> None:
        """Note a difference."""
        if found != right:
            self.append(f"{what}: found {found}, right is {right}")

    def same_set(self, what: str, found: set[Any], right: set[Any]) -> None:
        """Note what is missing and what is too much."""
        if missing := right - found:
            self.append(f"{what}: {len(missing)} missing, first {sorted(missing)[:5]}")
        if more := found - right:
            self.append(f"{what}: {len(more)} too many, first {sorted(more)[:5]}")

    def same_counts(self, what: str, found: Mapping[Any, Any], right: Mapping[Any, Any]) -> None:
        """Note the first few keys whose figures differ."""
        wrong = sorted(key for key in found.keys() | right.keys() if found.get(key) != right.get(key))
        for key in wrong[:5]:
            self.append(f"{what} {key}: found {found.get(key)}, right is {right.get(key)}")
        if len(wrong) > 5:
            self.append(f"{what}: {len(wrong)} differ")


async def differences(world: World) -> tuple[Truth, Differences]:
    """Compare everything that the system says with the log. Call it when the system is at rest."""
    truth = await truth_of(world)
    found = Differences()
    await _archive(world, truth, found)
    await _live(world, truth, found)
    await _topics(world, truth, found)
    checked = await verify(world.settings, world.plan)
    found += [f"verify: {difference}" for difference in checked.differences[:20]]
    if checked.moving:
        found.append(f"verify: {checked.moving} windows are newer than their partition's row")
    if truth.events and not (checked.windows and checked.funnels):
        found.append(f"verify compared nothing: {checked.summary()}")
    return truth, found


async def _archive(world: World, truth: Truth, found: Differences) -> None:
    rows = await world.query("SELECT partition, offset, event, toUnixTimestamp64Milli(ts), platform, "
                             "toInt64(value * 1000000), late FROM events")  # fmt: skip
    archived = {(row[0], row[1]): Counted(*row[2:6], bool(row[6])) for row in rows}
    found.same("rows of the view events", len(rows), len(truth.events))
    found.same_counts("event", archived, truth.events)
    kinds = "outcome" if await _has_outcome(world) else "'duplicate'"
    rows = await world.query(f"SELECT partition, offset, {kinds} FROM duplicates")
    for outcome, right in (("duplicate", truth.duplicates), ("forwarded_again", truth.forwarded_again)):
        places = {(row[0], row[1]) for row in rows if row[2] == outcome}
        if outcome == "duplicate" or kinds == "outcome":
            found.same_set(outcome, places, right)
    found.same("rows of the view duplicates", len(rows), len({(row[0], row[1]) for row in rows}))
    rejected = await world.query("SELECT partition, offset FROM rejected")
    found.same("rows of the view rejected", len(rejected), len(truth.rejected))
    found.same_set("rejected", {(row[0], row[1]) for row in rejected}, truth.rejected)
    for table, count in (("events", len(truth.events)), ("rejected", len(truth.rejected)), ("duplicates", len(rows))):
        await world.query(f"OPTIMIZE TABLE {table}_raw FINAL")
        merged = await world.query(f"SELECT count() FROM {table}_raw")
        found.same(f"rows of {table}_raw once merged", merged[0][0], count)


async def _has_outcome(world: World) -> bool:
    database = world.settings.clickhouse_database
    return bool(await world.query(f"SELECT 1 FROM system.columns WHERE database = '{database}' "
                                  "AND table = 'duplicates' AND name = 'outcome'"))  # fmt: skip


async def _live(world: World, truth: Truth, found: Differences) -> None:
    names = ("accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again")
    # The columns are older than the words.
    rows = await world.query(
        "SELECT partition, accepted, late, duplicate, rejected, moved, repeated FROM live_partition_raw FINAL"
    )
    live = {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
    right = {p: {name: counts[name] for name in names} for p, counts in truth.outcomes.items() if counts}
    sums = {p: sum(counts.values()) for p, counts in live.items()}
    found.same_counts("records folded, of partition", sums, await world.ends())
    found.same_counts(
        "records read, of partition", {p: sum(c.values()) for p, c in truth.outcomes.items()}, await world.ends()
    )
    found.same_counts("records of partition", {p: counts for p, counts in live.items() if any(counts.values())}, right)
    totals = truth.totals()
    shown = await world.live_totals()
    found.same_counts("/live total", {n: c for n, c in shown.items() if c}, dict(totals))
    counted = [event for event in truth.events.values() if not event.late]
    await _windows(world, found, "minute", "", ((e.ts // _MINUTE * _MINUTE, "", e.value_micro) for e in counted))
    await _windows(world, found, "day_utc", "", ((e.ts // _DAY * _DAY, "", e.value_micro) for e in counted))
    await _windows(world, found, "day_utc", "event", ((e.ts // _DAY * _DAY, e.event, e.value_micro) for e in counted))
    await _windows(
        world, found, "minute", "platform", ((e.ts // _MINUTE * _MINUTE, e.platform, e.value_micro) for e in counted)
    )


async def _windows(
    world: World, found: Differences, grain: str, dimension: str, counted: Iterable[tuple[int, str, int]]
) -> None:
    rows = await world.query(
        "SELECT toUnixTimestamp64Milli(start), value, events, toInt64(amount * 1000000) FROM live_activity "
        f"WHERE grain = '{grain}' AND dimension = '{dimension}'"
    )
    live = {(row[0], row[1]): (row[2], int(row[3])) for row in rows}
    right: dict[tuple[int, str], tuple[int, int]] = {}
    for start, value, micro in counted:
        events, amount = right.get((start, value), (0, 0))
        right[start, value] = (events + 1, amount + micro)
    found.same_counts(f"live {grain} {dimension or 'total'}", live, right)


async def _topics(world: World, truth: Truth, found: Differences) -> None:
    logs = await read_log(world.settings.kafka_bootstrap, world.settings.rejected_topic)
    named = {_place(dict(record.headers)[_ORIGIN].decode()) for log in logs.values() for record in log}
    found.same_set("rejected topic", named, truth.rejected)
    found.same_set("records sent on", truth.sent_on, truth.forwarded)
