"""One chaos run: traffic and faults, then quiet, then the comparison with the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import yaml

from pipeline.settings import Settings

from .faults import Chaos, Fault, draw, supervise
from .ground import ROOT, Ground
from .plan import with_persons
from .recount import Truth, differences
from .sender import Sender
from .watched import NotDrained
from .world import World

WORKERS = ARCHIVERS = 2


@dataclass
class Report:
    """What became of a run."""

    seed: int
    faults: list[Fault]
    timeline: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    seconds: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether every figure was right and nothing happened that should not."""
        return not self.problems

    def summary(self) -> str:
        """One line."""
        verdict = "exact" if self.exact else f"{len(self.problems)} DIFFERENCES"
        return (
            f"seed {self.seed}: {verdict}; {self.truth.records} records ({self.truth.summary()}), "
            f"{len(self.faults)} faults, {self.seconds:.0f} s"
        )


def settings_of(seed: int, folder: Path) -> dict[str, object]:
    """What else the seed decides: how long the memory of ids and windows is, and how often state is saved."""
    rng = Random(f"settings:{seed}")
    plan = folder / "plan.yaml"
    text = yaml.safe_load((ROOT / "schemas" / "plans" / "shop.yaml").read_text())
    text = with_persons(text)
    if rng.random() < 0.6:
        # Windows close and ids are forgotten within the run; alerts would need a longer lateness.
        text |= {"lateness": "20s", "dedupe": "30s"}
        del text["alerting"]
    plan.write_text(yaml.safe_dump(text, sort_keys=False))
    return {
        "plan": str(plan),
        "partitions": rng.choice((3, 4, 8)),
        "checkpoint_interval_s": rng.choice((0.3, 0.5, 1.0)),
        "archiver_batch_seconds": rng.choice((0.2, 0.5, 1.0)),
        "archiver_batch_rows": rng.choice((200, 5_000, 50_000)),
        "state_store": rng.choice(("memory", "rocksdb")),
        "state_dir": folder / "state",
    }


async def run(
    seed: int, folder: Path, *, seconds: float = 45, rate: float = 600, gap: float = 4.0,
    tell: Callable[[str], None] = print,
) -> Report:  # fmt: skip
    """Run in `folder` (logs stay there): faults for so many seconds, then quiet and the comparison."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    ground = Ground(folder, WORKERS + ARCHIVERS)
    try:
        await asyncio.to_thread(ground.start)
        changes = settings_of(seed, folder)
        Settings(**changes)  # type: ignore[arg-type]
        async with World(ground, folder, workers=WORKERS, archivers=ARCHIVERS, **changes) as world:
            report = Report(seed, draw(seed, seconds, list(world.roles), gap))
            await _run(world, report, seed, seconds, rate, tell)
    finally:
        await asyncio.to_thread(ground.close)
    report.seconds = time.monotonic() - began
    return report


async def _run(
    world: World, report: Report, seed: int, seconds: float, rate: float, tell: Callable[[str], None]
) -> None:
    started = 0.0

    def note(line: str) -> None:
        stamped = f"{time.monotonic() - started:6.1f} s  {line}"
        report.timeline.append(stamped)
        tell(stamped)

    settings = world.settings
    sender = Sender(
        settings.kafka_bootstrap, settings.events_topic, world.plan, settings.partitions, seed=seed, rate=rate
    )
    rewrite_from = Random(f"rewrite:{seed}").choice((None, 50_000, 300_000))
    for role in world.roles.values():
        role.rewrite_from = rewrite_from
        role.start()
    # One that finds no Kafka yet ends, and is started again.
    supervisor = asyncio.create_task(supervise(world, note))
    await world.ready()
    started = time.monotonic()
    sending = asyncio.create_task(sender.run())
    chaos = Chaos(world, sender, note)
    try:
        await chaos.carry_out(report.faults)
        await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
        sender.stop()
        await sending
        note(f"quiet: {sender.sent} records sent by {sender.new_producers} producers")
        await asyncio.to_thread(world.ground.heal)
        for role in world.roles.values():
            role.thaw()
            role.wanted = True
        report.problems += chaos.problems
        arrived = sum((await world.ends()).values())
        if arrived < sender.sent / 3:
            report.problems.append(f"{arrived} of {sender.sent} records arrived: that proves little")
        while True:
            await world.drained()
            ends = await world.ends()
            report.truth, found = await differences(world)
            # A worker that was held up may send records on late, once more: then there is more to count.
            if ends == await world.ends():
                break
            note("there is more")
        note("at rest")
        report.problems += found
    except NotDrained as exc:
        report.problems.append(str(exc))
        report.truth, found = await differences(world)
        report.problems += found
    finally:
        for task in (supervisor, sending):
            task.cancel()
        await asyncio.gather(supervisor, sending, return_exceptions=True)
