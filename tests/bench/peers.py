"""Quix Streams and Bytewax on their version of the same job, beside the worker on the same events.

They are installed into a virtual environment of their own under build/, so that they are no dependencies of ours. If
that fails, or one of them can't do its job on this machine, its row says why and the rest goes on.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from .events import make_events, produce
from .place import Place, new_place, plain_environment
from .rows import FAILED, Row, rounded
from .run import Say, span
from .sizes import Sizes
from .worker import Span, measure

_TOPIC = "sample"
_FOLDER = Path("build/peers")
#: What is tried; PyYAML and Pydantic are for the model of the plan.
PACKAGES = ("quixstreams==3.28.1", "bytewax==0.21.1", "confluent-kafka==2.12.2", "pydantic>=2.11", "PyYAML>=6")
#: Name, program, how many times as fast the worker must be.
PEERS = (("Quix Streams 3.28.1", "quix_job", 5.0), ("Bytewax 0.21.1", "bytewax_job", 3.0))
_INSTALL_SECONDS = 600
_JOB_SECONDS = 300.0


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Events a second of each, and of the worker to each."""
    say(f"{', '.join(PACKAGES[:2])} are installed into {_FOLDER}")
    problem = await asyncio.to_thread(_install)
    if problem:
        return [row for name, _, times in PEERS for row in _rows(name, times, [], [], problem)]
    async with new_place() as place:
        await _make_topic(place)
        keys, values = make_events(sizes.events, int(time.time() * 1000))
        await produce(place.settings.kafka_bootstrap, place.settings.events_topic, keys, values)
        sample = sizes.peer_sample
        await produce(place.settings.kafka_bootstrap, _TOPIC, keys[:sample], values[:sample])
        del keys, values
        workers: list[Span] = []
        peers: dict[str, list[Span]] = {name: [] for name, _, _ in PEERS}
        problems: dict[str, str] = {}
        for number in range(1, sizes.runs + 1):
            say(f"run {number} of {sizes.runs}: the worker")
            workers.append((await measure(place, place.named(f"beside-{number}"), sizes.events)).span)
            for name, job, _ in PEERS:
                if name in problems:
                    continue
                say(f"run {number} of {sizes.runs}: {name}")
                try:
                    peers[name].append(await _run(job, place, sample))
                except RuntimeError as exc:
                    problems[name] = " ".join(str(exc).split())[-400:]
    return [row for name, _, times in PEERS for row in _rows(name, times, workers, peers[name], problems.get(name, ""))]


def _rows(name: str, times: float, workers: list[Span], peers: list[Span], problem: str) -> list[Row]:
    note = f"{FAILED}: tried {', '.join(PACKAGES[:3])} from PyPI: {problem}" if problem else ""
    runs = [] if problem else list(zip(workers, peers, strict=True))
    return [
        Row(f"{name}: events a second", "1/s", rounded(*[p.rate for _, p in runs]), note=note),
        Row(f"{name}: events a CPU second", "1/s", rounded(*[p.cpu_rate for _, p in runs]), note=note),
        Row(f"worker to {name}, by time", "x", rounded(*[w.rate / p.rate for w, p in runs]), times, note=note),
        Row(f"worker to {name}, by CPU", "x", rounded(*[w.cpu_rate / p.cpu_rate for w, p in runs]), note=note),
    ]


async def _make_topic(place: Place) -> None:
    """Quix Streams wants to know the retention of its topic, which the embedded broker tells only if it was given."""
    admin = AIOKafkaAdminClient(bootstrap_servers=place.settings.kafka_bootstrap)
    await admin.start()
    try:
        configs = {"retention.ms": "604800000"}
        await admin.create_topics([NewTopic(_TOPIC, place.settings.partitions, 1, topic_configs=configs)])
    finally:
        await admin.close()


async def _run(job: str, place: Place, sample: int) -> Span:
    with tempfile.TemporaryDirectory(dir=place.data) as state:
        command = [str(_FOLDER.resolve() / "bin" / "python"), "-P", "-m", f"tests.bench.{job}"]
        arguments = [place.settings.kafka_bootstrap, _TOPIC, sample, state]
        return await span(job, arguments, place.data, command=command, env=plain_environment(), seconds=_JOB_SECONDS)


def _install() -> str:
    """Make the environment if it isn't there; what went wrong, or nothing."""
    stamp = _FOLDER / "installed"
    if stamp.exists() and stamp.read_text("utf-8") == "\n".join(PACKAGES):
        return ""
    try:
        subprocess.run([sys.executable, "-m", "venv", str(_FOLDER)], check=True, capture_output=True)
        pip = [str(_FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as exc:
        said = getattr(exc, "stderr", None) or b""
        return f"{exc} {said.decode('utf-8', 'replace')[-300:]}".strip()
    stamp.write_text("\n".join(PACKAGES), "utf-8")
    return ""
