"""`streamgauge demo`: the whole system on this machine, with simulated users."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.live import Live

from pipeline import terminal
from pipeline.alerts.prometheus import ActiveAlert, PrometheusError
from pipeline.archiver.load import HISTORY, ahead, history_batches, insert
from pipeline.archiver.rows import ArchiveBatch
from pipeline.clickhouse.client import connect
from pipeline.clickhouse.side_tables import insert as insert_sides
from pipeline.demo.system import System
from pipeline.demo.terminal import Rates, view
from pipeline.demo.verified import print_verification
from pipeline.demo.where import send_lines, where
from pipeline.errors import DependencyError
from pipeline.ingest.sent import Sent
from pipeline.process import cancelled, first_of, stop_event
from pipeline.queries.verify import verify
from pipeline.render.language import ENGLISH, Language
from pipeline.serve.guard import is_loopback
from pipeline.settings import Settings, plan_of
from pipeline.simulate import History, Noise, Population, Product, Rhythm, add_noise
from pipeline.simulate.command import faults_of, required_product, side_rows
from pipeline.simulate.devices import Devices
from pipeline.terminal import plain, print_json
from schemas.duration import DAY

#: How long the demo waits at its end for everything to be counted and stored.
DRAIN_SECONDS = 60.0
#: What becomes of a record.
COUNTED = ("accepted", "rejected", "duplicate", "late")
_TICK_SECONDS = 0.05
#: The past has at most so many events, so that the demo starts within seconds.
MAX_PAST: Final = 250_000
#: So many events of today, at most, go the way of the live ones at the start: what is live has today's beginning.
MAX_TODAY: Final = 15_000
#: How much of the day's rhythm there is: nights are quiet and not dead.
_DEPTH: Final = 0.5
#: Days for which something has been going wrong, today not counted.
FAULT_DAYS: Final = 3


@dataclass(frozen=True)
class _Past:
    """The past, and its batches as they are made."""

    history: History
    made: Iterator[ArchiveBatch]


class Demo:
    """One run of the demo. `run` returns the exit code."""

    def __init__(
        self, settings: Settings, rate: float, users: int, seconds: float | None, seed: int,
        data: Path | None, as_json: bool, *, days: int = 0, faults: Sequence[str] = (), language: str = ENGLISH,
    ) -> None:  # fmt: skip
        if "kept_editors" not in settings.model_fields_set and is_loopback(settings.dashboard_host):
            # Nobody has a name here; what is tried out belongs to whoever started it.
            settings = settings.model_copy(update={"kept_editors": "*"})
        self._settings, self._rate, self._users, self._seconds = settings, rate, users, seconds
        self._seed, self._data, self._as_json = seed, data, as_json
        self._t = Language(language)
        self._plan = plan_of(settings)
        self._product = required_product(self._plan)
        self._days, self._faults, self._now = days, faults, int(time.time() * 1000)
        self._since = begin_of_stream(self._plan.zone, self._now, rate) if days else self._now
        self._wrong_since: date | None = None
        if not faults:
            today = datetime.fromtimestamp(self._now / 1000, self._plan.zone).date()
            self._wrong_since = today - timedelta(days=FAULT_DAYS)
            self._faults = [planted(self._product, self._wrong_since)]
        self._rhythm = Rhythm(_DEPTH, self._plan.zone, 1.0)
        self._past: Population | None = None
        self._sent: Counter[str] = Counter()

    async def run(self) -> int:
        """Start everything, send, show; with a time limit also drain, verify and sum up."""
        stop, t = stop_event(), self._t
        with _folder(self._data) as folder:
            console = terminal.console(stderr=self._as_json)
            faults_of(self._faults, self._plan, 0)  # a mistake in them shows before anything starts
            past = None
            if self._days:
                history = self.history(self._since)
                past = _Past(history, ahead(history_batches(self._plan, history.records())))
            console.print(t("Starting the broker, ClickHouse, the worker and the archiver …"))
            async with System(
                self._settings, folder, usual_ports=True, log_since_ms=self._since,
                say=lambda said: console.print(plain(t.said(said))),
            ) as system:  # fmt: skip
                await first_of(system.wait_ready(), stop.wait(), system.supervision)
                if stop.is_set():
                    return 130
                if past is not None:
                    await self._store_past(past, system, console)
                async with self._sending(system, stop) as sending:
                    await self._show(system, console, stop, sending)
                if self._seconds is None:
                    console.print(t("Stopping …"))
                    return 0
                return await self._sum_up(system, console)

    def history(self, until: int) -> History:
        """Days of the past until then (epoch ms), so that there are users who return, and weeks to compare."""
        return History(
            self._product,
            until - self._days * DAY,
            until,
            past_events(self._rate, self._days),
            self._users,
            self._seed,
            faults_of(self._faults, self._plan, self._now),
            self._rhythm,
            Devices(),
        )

    def population(self, since: int, after: Population | None = None) -> Population:
        """Who comes from then on (epoch ms): those who have been there before, as many as ever at this time."""
        return Population(
            self._seed,
            start_ms=since,
            rate=self._rate,
            users=self._users,
            rhythm=self._rhythm,
            journeys=self._product.journeys,
            after=after,
            faults=faults_of(self._faults, self._plan, self._now),
            devices=Devices(),
        )

    async def _store_past(self, past: _Past, system: System, console: Console) -> None:
        client = await connect(system.settings)
        try:
            count = await insert(client, past.made)
            for rows in side_rows(past.history, self._plan).values():
                await insert_sides(client, rows)
        finally:
            await client.close()
        t = self._t
        said = t(
            "{count} events of the past {days} days are stored, as the stream {stream}.",
            count=f"{count:,}", days=self._days, stream=HISTORY,
        )  # fmt: skip
        console.print(said)
        whole = round(self._rate * self._days * DAY / 1000)
        if whole > MAX_PAST:
            said = t(
                "At {rate} a second they would have been {whole}: these start at once.",
                rate=f"{self._rate:g}", whole=f"{whole:,}",
            )  # fmt: skip
            console.print(said)
        if self._wrong_since is not None:
            console.print(t("Something has gone wrong since {day}: the first page says what.", day=self._wrong_since))
        self._past = past.history.population

    @contextlib.asynccontextmanager
    async def _sending(self, system: System, stop: asyncio.Event) -> AsyncIterator[asyncio.Task[None]]:
        producer = AIOKafkaProducer(
            **system.settings.kafka_kwargs(), linger_ms=10, max_batch_size=1 << 18, max_request_size=4 << 20
        )
        await producer.start()
        task = asyncio.create_task(self._send(producer, system, stop))
        try:
            yield task
            await task
        finally:
            await cancelled(task)
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, system: System, stop: asyncio.Event) -> None:
        """Send the simulated events as their times come, with these as the log's: today's first ones all at once."""
        topic = system.settings.events_topic
        partitions = len(await producer.partitions_for(topic))
        started = int(time.time() * 1000)
        end = started + int(self._seconds * 1000) if self._seconds else None
        for record in self._records(started, partitions):
            if end is not None and record.at >= end:
                break
            while record.at > time.time() * 1000 and not stop.is_set():
                await asyncio.sleep(_TICK_SECONDS)
            if stop.is_set():
                break
            await producer.send(topic, record.value, key=record.key, partition=record.partition, timestamp_ms=record.at)
            self._sent[record.truth] += 1
        await producer.flush()

    def _records(self, started: int, partitions: int) -> Iterator[Sent]:
        """Those of today until the demo has started, clean, and then what comes, with noise."""
        events = self.population(self._since if self._past is not None else started, self._past).events()
        for sent in events:
            if sent.at >= started:
                events = chain([sent], events)
                break
            yield sent
        yield from add_noise(events, Noise(), self._plan, seed=self._seed, partitions=partitions)

    async def _show(self, system: System, console: Console, stop: asyncio.Event, sending: asyncio.Task[None]) -> None:
        """The live view, until the sending ends or somebody presses Ctrl-C."""
        rates = Rates()
        notes = where(self._t, system)
        # What is to be pasted stands above the live view, in one line each.
        for note in send_lines(self._t, system) if console.is_terminal else notes:
            console.print(plain(note), soft_wrap=True)
        live = Live(console=console, refresh_per_second=4, auto_refresh=False, transient=not console.is_terminal)
        with live if console.is_terminal else contextlib.nullcontext():
            while not stop.is_set() and not sending.done():
                numbers = await system.live()
                health = await system.archiver.ask("/health")
                if numbers is not None:
                    rates.update(sum(numbers["totals"].values()))
                if console.is_terminal:
                    told = await _alerts(system)
                    shown = view(self._t, numbers, health, rates.value, notes, alerts=told, away=system.away)
                    live.update(shown, refresh=True)
                await first_of(stop.wait(), sending, system.supervision, asyncio.sleep(1.0))
            if sending.done():
                sending.result()

    async def _sum_up(self, system: System, console: Console) -> int:
        sent = sum(self._sent.values())
        totals = await drained(system, sent)
        result = await verify(system.settings, plan_of(system.settings))
        counted = {name: totals.get(name, 0) for name in COUNTED}
        # What somebody has sent to the front door meanwhile comes on top.
        door = await system.collect.ask("/health")
        more = door["acknowledged"] if door is not None else 0
        complete = sent <= sum(counted.values()) <= sent + more
        as_expected = all(self._sent[name] <= counted[name] <= self._sent[name] + more for name in counted)
        ok = complete and as_expected and result.ok
        if self._as_json:
            summary = {
                "ok": ok, "sent": sent, "expected": dict(self._sent), **counted,
                "forwarded": totals.get("forwarded", 0), "forwarded_again": totals.get("forwarded_again", 0),
                "verify": asdict(result),
            }  # fmt: skip
            print_json(summary)
            return 0 if ok else 1
        t = self._t
        parts = " + ".join(f"{count:,} {t.of('counted', name)}" for name, count in counted.items())
        console.print(t("sent {sent} = {parts}", sent=f"{sent:,}", parts=parts))
        if not complete:
            missing = sent - sum(counted.values())
            console.print(t("{missing} records are not accounted for", missing=missing), style="red")
        elif not as_expected:
            console.print(t("the simulator expected {sent}", sent=dict(self._sent)), style="red")
        print_verification(t, result, False)
        return 0 if ok else 1


def past_events(rate: float, days: int) -> int:
    """How many events of the past are stored before a demo of so many events a second: as many as it would have had."""
    return max(1, min(MAX_PAST, round(rate * days * DAY / 1000)))


def begin_of_stream(zone: ZoneInfo, now: int, rate: float) -> int:
    """Since when there is a demo's own stream (epoch ms): since midnight in the zone, or since `MAX_TODAY` events."""
    midnight = datetime.fromtimestamp(now / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(round(midnight.timestamp() * 1000), now - round(MAX_TODAY / rate * 1000))


def planted(product: Product, since: date) -> str:
    """What goes wrong where nobody says what shall: from the begin of a day, so that whole days show it."""
    return f"{product.fault} from={since}T00:00"


async def drained(system: System, sent: int) -> dict[str, int]:
    """Wait until everything sent is counted, stored and published; the worker's totals."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        numbers = await system.live()
        health = await system.archiver.ask("/health")
        if numbers is not None and health is not None:
            totals = numbers["totals"]
            final = sum(totals.get(name, 0) for name in ("accepted", "rejected", "duplicate", "late"))
            stored = {int(p): offset for p, offset in health["stored"].items()}
            archived = all(stored.get(p, 0) >= position for p, position in numbers["partitions"].items())
            if final >= sent and numbers["lag"] == 0 and numbers["unpublished"] == 0 and archived:
                return totals
        if time.monotonic() > deadline:
            raise DependencyError(
                "not everything was counted after {seconds} s: {numbers}, {health}",
                seconds=f"{DRAIN_SECONDS:.0f}", numbers=numbers, health=health,
            )  # fmt: skip
        await asyncio.sleep(0.2)


async def _alerts(system: System) -> list[ActiveAlert] | PrometheusError:
    """The alerts that are pending or fire, none where nobody evaluates them; or why they are not known."""
    if system.alerting.prometheus is None:
        return []
    try:
        return await system.alerting.prometheus.client.alerts()
    except PrometheusError as exc:
        return exc


@contextlib.contextmanager
def _folder(given: Path | None) -> Any:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="streamgauge-") as folder:
        yield Path(folder)
