"""`python -m tests.chaos.up`: `streamgauge up` as a whole under power cuts and kills; "N of N exact" at the end.

Apps send to the front door. At the end each event that was answered with 2xx is looked for in ClickHouse, where it has
to be once, and everything that is counted is compared with a recount of Kafka's log (see `recount`).
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in the tests: kafka_harness is found there

from jumping_clock import JumpingClock
from lossy_disk import LossyDisk

from .clients import Clients, Known
from .ground import ROOT
from .installation import Installation
from .plan import with_persons
from .recount import Truth, differences
from .watched import NotDrained

#: Kind to weight. Parts are named after a colon; what follows "SIGSTOP" is thawed, or killed by `up`.
KINDS: Final[dict[str, int]] = {
    "power cut": 6, "SIGKILL of up": 2, "SIGTERM of up": 2, "SIGKILL: Kafka": 2, "SIGKILL: ClickHouse": 2,
    "SIGKILL: worker": 1, "SIGKILL: archiver": 1, "SIGKILL: collect": 1, "SIGKILL: dashboard": 1,
    "SIGSTOP: Kafka": 1, "SIGSTOP: ClickHouse": 1, "SIGSTOP: worker": 1, "SIGTERM: Kafka": 1,
}  # fmt: skip
#: The clock jumps to so many seconds ahead of the true time: of the machine and of those who send.
JUMPS: Final = (3_600, -7_200, 40, -20, 3 * 86_400, 0)


@dataclass
class Report:
    """What became of a run."""

    seed: int
    faults: list[str] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    acknowledged: int = 0
    seconds: float = 0.0
    restarts: list[float] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every figure was right and nothing was lost."""
        return not self.problems

    def summary(self) -> str:
        """One line."""
        verdict = "exact" if self.exact else f"{len(self.problems)} DIFFERENCES"
        slowest = f", slowest start {max(self.restarts):.0f} s" if self.restarts else ""
        return (
            f"seed {self.seed}: {verdict}; {self.acknowledged} events acknowledged, {self.truth.records} records "
            f"({self.truth.summary()}), {', '.join(self.faults)}{slowest}, {self.seconds:.0f} s"
        )


def plan_of(folder: Path, seed: int) -> Path:
    """The plan of a run, in a file."""
    text = with_persons(yaml.safe_load((ROOT / "schemas" / "plans" / "shop.yaml").read_text()))
    if Random(f"plan:{seed}").random() < 0.5:
        # Windows close and ids are forgotten within the run; alerts would need a longer lateness.
        text |= {"lateness": "20s", "dedupe": "2m"}
        del text["alerting"]
    file = folder / "plan.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(text, sort_keys=False))
    return file


def installation(seed: int, folder: Path) -> Installation:
    """One in `folder`, with settings that the seed decides."""
    rng = Random(f"up:{seed}")
    found = {
        "plan": plan_of(folder, seed),
        "partitions": rng.choice((2, 4, 8)),
        "checkpoint_interval_s": rng.choice((0.5, 2.0)),
        "archiver_batch_seconds": rng.choice((0.2, 1.0)),
    }
    return Installation(folder, {f"PIPELINE_{name.upper()}": str(value) for name, value in found.items()})


async def run(
    up: Installation, seed: int, known: Known, *, faults: int = 2, rate: float = 100, only: str = "",
    tell: Callable[[str], None] = print,
) -> Report:  # fmt: skip
    """Traffic, and so many faults one after the other, then quiet and the comparison with all that is `known`."""
    began, rng, report = time.monotonic(), Random(f"faults:{seed}"), Report(seed)

    def note(line: str) -> None:
        stamped = f"{time.monotonic() - began:6.1f} s  {line}"
        report.timeline.append(stamped)
        tell(stamped)

    before = len(known.acknowledged)
    ports = up.ports()
    ahead = (lambda: up.clock.ahead) if up.clock is not None else (lambda: 0)
    clients = Clients(known, (up.door, up.key), seed=seed, rate=rate, ahead=ahead)
    sending = asyncio.create_task(clients.run())
    try:
        for _ in range(faults):
            await asyncio.sleep(rng.uniform(2, 7))
            if up.clock is not None:
                up.clock.jump(rng.choice(JUMPS))
                note(f"the clock is {up.clock.ahead} s ahead")
                await asyncio.sleep(rng.uniform(0, 4))
            kind = only or rng.choices(list(KINDS), list(KINDS.values()))[0]
            report.faults.append(kind)
            note(f"{kind}, {len(known.acknowledged)} acknowledged")
            await _fault(up, kind, rng, report)
            if up.ports() != ports:
                report.problems.append(f"ports were {ports} and are {up.ports()}")
        await up.ready()
        note("ready")
        await asyncio.sleep(2)
        clients.stop()
        await sending
        report.acknowledged = len(known.acknowledged) - before
        note(f"quiet: {report.acknowledged} acknowledged, {len(known.open)} open, {clients.attempts} requests")
        while True:
            await up.drained(120)
            ends = await up.ends()
            report.truth, found = await differences(up)
            if ends == await up.ends():
                break
        report.problems += found + await _lost(up, known, report.truth)
        note("at rest")
    except (NotDrained, RuntimeError) as exc:
        report.problems.append(str(exc))
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    report.seconds = time.monotonic() - began
    return report


async def _fault(up: Installation, kind: str, rng: Random, report: Report) -> None:
    if kind == "power cut":
        report_processes = up.power_cut()
        assert report_processes > 5, "it did not run"
    elif kind == "SIGKILL of up":
        up.kill_up()
    elif kind == "SIGTERM of up":
        code = await up.terminate()
        if code != 0:
            report.problems.append(f"`up` ended with {code} after SIGTERM: {up.said[-1000:]}")
    else:
        number, _, part = kind.partition(": ")
        if not up.send(part, signal.Signals[number]):
            report.problems.append(f"there is no {part}")
        if number == "SIGSTOP":
            await asyncio.sleep(rng.uniform(1, 8))
            up.send(part, signal.SIGCONT)
        else:
            await asyncio.sleep(1)  # it is seen to have ended
        return
    await asyncio.sleep(rng.choice((0.0, 1.0)))
    report.restarts.append(await up.start())


async def _lost(up: Installation, known: Known, truth: Truth) -> list[str]:
    """What was acknowledged and isn't there once; what is there and was never sent."""
    found = list(known.refused[:5])
    rows = await up.query("SELECT event_id, count(), any(event), any(user_id), any(toUnixTimestamp64Milli(ts)) "
                          "FROM events GROUP BY event_id")  # fmt: skip
    stored: dict[str, Any] = {row[0]: row[1:] for row in rows}
    acknowledged = known.acknowledged
    lost = acknowledged.keys() - stored.keys()
    if known.jumping:
        # The clock jumped back between the door's judgement and Kafka: refused after all, but whole, with the reason.
        aside = await up.query(
            "SELECT JSONExtractString(value, 'event_id') FROM rejected WHERE reason = 'time_in_future'"
        )
        lost -= {row[0] for row in aside}
    if lost:
        found.append(f"{len(lost)} events were acknowledged and are not there: {sorted(lost)[:5]}")
    if twice := [name for name, row in stored.items() if row[0] != 1]:
        found.append(f"{len(twice)} events are there more than once: {sorted(twice)[:5]}")
    if strange := stored.keys() - acknowledged.keys() - known.open:
        found.append(f"{len(strange)} events were never sent: {sorted(strange)[:5]}")
    for name, event in acknowledged.items():
        right = (event["event"], event.get("user_id", ""), event["ts"])
        if name in stored and tuple(stored[name][1:]) != right:
            found.append(f"event {name} is {stored[name][1:]}, was sent as {right}")
            break
    # The live figures by code of its own, from what the apps know: all that were acknowledged, and open ones that came.
    came = len(stored) - truth.totals()["late"]
    rows = await up.query("SELECT sum(events) FROM live_activity WHERE grain = 'day' AND dimension = ''")
    if rows[0][0] != came:
        found.append(f"live windows of the day count {rows[0][0]} events, {came} came in time")
    if not acknowledged:
        found.append("nothing was acknowledged: that proves nothing")
    return found


async def several(
    seeds: range, folder: Path, lock: Path | None, same: int, lossy: bool, jumping: bool, **how: Any
) -> list[Report]:  # fmt: skip
    """Runs in folders below `folder`, `same` of them one after the other on one installation."""
    reports: list[Report] = []
    for first in seeds[::same]:
        place = folder / f"chaos-up-{first}"
        shutil.rmtree(place, ignore_errors=True)
        with ExitStack() as stack:
            disk = LossyDisk(place / "data", place / "images") if lossy else None
            up, known = installation(first, place), Known(jumping=jumping)
            up.disk, up.clock = disk, JumpingClock(place) if jumping else None
            if lock is not None:
                fcntl.flock(stack.enter_context(open(lock, "a")), fcntl.LOCK_EX)
            try:
                await up.start()
                for seed in range(first, min(first + same, seeds.stop)):
                    reports.append(await run(up, seed, known, **how))
                    print(
                        "\n".join([f"  ! {problem}" for problem in reports[-1].problems] + [reports[-1].summary()]),
                        flush=True,
                    )
                    if not reports[-1].exact:
                        print(f"  logs: {place}", flush=True)
                        break
            finally:
                up.disk = None
                up.power_cut()
                if disk is not None and all(report.exact for report in reports[-same:]):
                    disk.close()
        if all(report.exact for report in reports[-same:]):
            shutil.rmtree(place, ignore_errors=True)
    return reports


def main() -> int:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.up", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the first run, the next has the next; any if not given")
    parser.add_argument("--same", type=int, default=1, help="runs that one installation goes through (%(default)s)")
    parser.add_argument("--faults", type=int, default=2, help="of a run (%(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="events a second (%(default)s)")
    parser.add_argument("--only", default="", help=f"this kind of fault alone: {', '.join(KINDS)}")
    parser.add_argument("--lossy", action="store_true", help="on a disk that loses what was not forced to it (root)")
    parser.add_argument(
        "--jumping", action="store_true", help="a clock that jumps before each fault (needs a C compiler)"
    )
    parser.add_argument("--lock", type=Path, help="take turns with others by this file")
    parser.add_argument("--quiet", action="store_true", help="show no timeline")
    args = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    first = args.seed if args.seed is not None else random.randrange(1_000_000)
    tell = (lambda line: None) if args.quiet else (lambda line: print(line, flush=True))
    how = {"faults": args.faults, "rate": args.rate, "only": args.only, "tell": tell}
    seeds = range(first, first + args.runs)
    reports = asyncio.run(
        several(seeds, Path(tempfile.gettempdir()), args.lock, args.same, args.lossy, args.jumping, **how)
    )
    print(f"{sum(report.exact for report in reports)} of {args.runs} exact")
    return 0 if all(report.exact for report in reports) and len(reports) == args.runs else 1


if __name__ == "__main__":
    sys.exit(main())
