"""The truth: the topic read back and counted in plain Python, and its comparison with what the system says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from kafka_harness.reading import read_log
from persons.oracle import Oracle, Place, Whose

from pipeline.queries.verify import verify
from pipeline.render.language import Language
from pipeline.render.verification import summary
from pipeline.simulate import Logged
from pipeline.simulate.recount_persons import header

from .live import same_cohorts, same_windows
from .watched import Watched

_ENGLISH = Language("en")

_ORIGIN = "streamgauge-origin"


class Counted(NamedTuple):
    """A stored event."""

    event: str
    ts: int
    platform: str
    value_micro: int
    late: bool
    counted_as: str
    person: str


class Truth:
    """What must have become of each record, and what must be counted."""

    def __init__(self, oracle: Oracle | None = None) -> None:
        self.oracle = oracle
        self.outcomes: dict[int, Counter[str]] = {}
        self.events: dict[Place, Counted] = {}
        self._places: dict[str, set[Place]] = {}
        if oracle is None:
            return
        for (partition, offset), one in oracle.judged.items():
            self.outcomes.setdefault(partition, Counter())[one.outcome] += 1
            self._places.setdefault(one.outcome, set()).add((partition, offset))
        for one in oracle.events:
            self.events[one.place] = _counted(one, oracle)

    def value_of(self, place: Place) -> int:
        """The value of a stored event, in 10^-6 units."""
        return self.events[place].value_micro

    def places(self, outcome: str) -> set[Place]:
        """Where the records with an outcome are."""
        return self._places.get(outcome, set())

    @property
    def records(self) -> int:
        """Records in the log."""
        return self.totals().total()

    def totals(self) -> Counter[str]:
        """Records by outcome."""
        return sum(self.outcomes.values(), Counter())

    def summary(self) -> str:
        """One line."""
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(self.totals().items()))
        if self.oracle is None:
            return outcomes
        ids = {one.first for one in self.oracle.counted()}
        people = {one.person for one in self.oracle.counted()}
        anonymous = sum("user_id" not in one.event.fields for one in self.oracle.counted())
        rulings = Counter(ruling for one in self.oracle.judged.values() for _, ruling in one.links)
        links = ", ".join(f"{count} {name}" for name, count in sorted(rulings.items()))
        return f"{outcomes}; {anonymous} anonymous; {len(people)} persons of {len(ids)} ids; {links}"


def _place(text: str) -> Place:
    partition, _, offset = text.partition(":")
    return int(partition), int(offset)


async def truth_of(world: Watched) -> Truth:
    """Read the events topic and count."""
    logs = await read_log(world.settings.kafka_bootstrap, world.settings.events_topic)
    plain = {
        p: [Logged(r.timestamp, r.value, tuple(r.headers), r.timestamp_type == 1) for r in log]
        for p, log in logs.items()
    }
    return Truth(Oracle(world.plan, plain, {p: [r.offset for r in log] for p, log in logs.items()}))


def _counted(one: Whose, oracle: Oracle) -> Counted:
    fields = json.loads(oracle.records[one.place].value or b"", parse_float=Decimal)
    name = oracle.plan.events[fields["event"]].value
    amount = fields.get("properties", {}).get(name) if name else None
    micro = int(Decimal(amount) * 1_000_000) if amount is not None else 0
    found = (fields["event"], one.event.ts, fields.get("platform") or "", micro)
    return Counted(*found, one.late, one.first, one.person[0])


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


async def differences(world: Watched) -> tuple[Truth, Differences]:
    """Compare everything that the system says with the log. Call it when the system is at rest."""
    truth = await truth_of(world)
    found = Differences()
    await _archive(world, truth, found)
    await _links(world, truth, found)
    await _live(world, truth, found)
    await _topics(world, truth, found)
    checked = await verify(world.settings, world.plan)
    found += [f"verify: {difference}" for difference in checked.differences[:20]]
    if checked.moving:
        found.append(f"verify: {checked.moving} windows are newer than their partition's row")
    if truth.events and not (checked.windows and checked.funnels):
        found.append(f"verify compared nothing: {summary(_ENGLISH, checked)}")
    return truth, found


async def _archive(world: Watched, truth: Truth, found: Differences) -> None:
    rows = await world.query(
        "SELECT partition, offset, event, toUnixTimestamp64Milli(ts), platform, toInt64(value * 1000000), late, "
        "counted_as, person FROM events JOIN (SELECT partition, offset, counted_as FROM events_raw FINAL) AS raw "
        "USING (partition, offset)"
    )
    archived = {(row[0], row[1]): Counted(*row[2:6], bool(row[6]), *row[7:]) for row in rows}
    found.same("rows of the view events", len(rows), len(truth.events))
    found.same_counts("event", archived, truth.events)
    kinds = "outcome" if await _has_outcome(world) else "'duplicate'"
    rows = await world.query(f"SELECT partition, offset, {kinds} FROM duplicates")
    for outcome, right in (
        ("duplicate", truth.places("duplicate")),
        ("forwarded_again", truth.places("forwarded_again")),
    ):
        places = {(row[0], row[1]) for row in rows if row[2] == outcome}
        if outcome == "duplicate" or kinds == "outcome":
            found.same_set(outcome, places, right)
    found.same("rows of the view duplicates", len(rows), len({(row[0], row[1]) for row in rows}))
    rejected = await world.query("SELECT partition, offset FROM rejected")
    found.same("rows of the view rejected", len(rejected), len(truth.places("rejected")))
    found.same_set("rejected", {(row[0], row[1]) for row in rejected}, truth.places("rejected"))
    for table, count in (
        ("events", len(truth.events)),
        ("rejected", len(truth.places("rejected"))),
        ("duplicates", len(rows)),
    ):
        await world.query(f"OPTIMIZE TABLE {table}_raw FINAL")
        merged = await world.query(f"SELECT count() FROM {table}_raw")
        found.same(f"rows of {table}_raw once merged", merged[0][0], count)


async def _has_outcome(world: Watched) -> bool:
    database = world.settings.clickhouse_database
    return bool(await world.query(f"SELECT 1 FROM system.columns WHERE database = '{database}' "
                                  "AND table = 'duplicates' AND name = 'outcome'"))  # fmt: skip


def _count(value: bytes | None) -> int:
    found = json.loads(value or b"")
    return len(found) if isinstance(found, list) else 1


async def _links(world: Watched, truth: Truth, found: Differences) -> None:
    assert truth.oracle is not None
    rows = await world.query(
        "SELECT partition, offset, id, person, kind, outcome, toUnixTimestamp64Milli(ts), watermark "
        "FROM links_raw FINAL"
    )
    right = {
        (*place, claim.id, claim.person, claim.kind, ruling, claim.ts, one.watermark)
        for place, one in truth.oracle.judged.items()
        for claim, ruling in one.links
    }
    found.same("rows of links_raw", len(rows), len(right))
    found.same_set("link", {tuple(row) for row in rows}, right)
    rows = await world.query("SELECT partition, offset, item FROM handovers_raw FINAL")
    handed = {
        (*place, item)
        for place in truth.places("link")
        if header(truth.oracle.records[place].headers, "streamgauge-handover") is not None
        for item in range(_count(truth.oracle.records[place].value))
    }
    found.same("rows of handovers_raw", len(rows), len(handed))
    found.same_set("handover", {tuple(row) for row in rows}, handed)


async def _live(world: Watched, truth: Truth, found: Differences) -> None:
    assert truth.oracle is not None
    names = ("accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again", "link")
    # The columns are older than the words.
    rows = await world.query(
        "SELECT partition, accepted, late, duplicate, rejected, moved, repeated, links FROM live_partition_raw FINAL"
    )
    live = {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
    right = {p: {name: counts[name] for name in names} for p, counts in truth.outcomes.items() if counts}
    sums = {p: sum(counts.values()) for p, counts in live.items()}
    ends = await world.ends()
    read = dict.fromkeys(ends, 0) | {p: sum(counts.values()) for p, counts in truth.outcomes.items()}
    found.same_counts("records folded, of partition", sums, ends)
    found.same_counts("records read, of partition", read, ends)
    found.same_counts("records of partition", {p: counts for p, counts in live.items() if any(counts.values())}, right)
    totals = truth.totals()
    shown = await world.live_totals()
    found.same_counts("/live total", {n: c for n, c in shown.items() if c}, dict(totals))
    rows = await world.query(
        "SELECT grain, toUnixTimestamp64Milli(start), dimension, value, events, toInt64(amount * 1000000), users, "
        "registrations FROM live_activity"
    )
    found += same_windows({(*row[:3], row[3]): tuple(row[4:]) for row in rows}, truth.oracle, truth.value_of)
    rows = await world.query(
        "SELECT funnel, toUnixTimestamp64Milli(start), breakdown, value, sumForEach(users), sumForEach(step_count), "
        "sumForEach(step_sum_ms) FROM live_funnel_raw FINAL GROUP BY funnel, start, breakdown, value"
    )
    found += same_cohorts(
        {tuple(row[:4]): (row[4], list(zip(row[5], row[6], strict=True))) for row in rows}, truth.oracle
    )


async def _topics(world: Watched, truth: Truth, found: Differences) -> None:
    logs = await read_log(world.settings.kafka_bootstrap, world.settings.rejected_topic)
    named = {_place(dict(record.headers)[_ORIGIN].decode()) for log in logs.values() for record in log}
    found.same_set("rejected topic", named, truth.places("rejected"))
    assert truth.oracle is not None
    found += truth.oracle.unsent()
