"""All facts of an installation, and all that there is to say of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.doctor import data, log, machine
from pipeline.doctor.kept import kept
from pipeline.doctor.model import SUBJECTS, Advice, Subject, Unknown
from pipeline.errors import StreamgaugeError
from pipeline.kept.misfits import Misfit
from pipeline.render.language import Language


@dataclass(frozen=True)
class Installation:
    """What was found, each or why it could not be had."""

    listeners: Sequence[machine.Listener]
    folders: Sequence[machine.DiskSpace]
    disks: Sequence[machine.DiskSpace] | Unknown
    memory: machine.Memory | Unknown
    clocks: machine.Clocks
    versions: machine.Versions
    topics: log.Topics | Unknown
    lag: Sequence[log.Lag]
    #: By role that answers: its `/health`.
    health: Mapping[str, Mapping[str, Any]]
    plans: data.Plans
    parts: data.Parts | Unknown
    last_hour: data.LastHour | Unknown
    front_door: data.DoorState
    #: What is kept and no longer fits the plan; why the file can't be read.
    kept: Sequence[Misfit] | StreamgaugeError
    lateness_ms: int
    forwarded_bytes: int


def diagnose(found: Installation, t: Language) -> list[Advice]:
    """What there is to say, by subject and the worst first."""
    said = [
        *machine.ports(found.listeners, t),
        *machine.disk(found.folders, t),
        *machine.disk(found.disks, t),
        *machine.memory(found.memory, t),
        *machine.clocks(found.clocks, t),
        *machine.versions(found.versions, t),
        *log.topics(found.topics, t, lateness_ms=found.lateness_ms, forwarded_bytes=found.forwarded_bytes),
        *log.rights(found.topics, t),
        *data.plans(found.plans, t),
        *log.lag(found.lag, t),
        *(advice for role, health in found.health.items() if role != "collect"
          for advice in data.role_health(role, health, t)),
        *data.parts(found.parts, t),
        *data.rejected(found.last_hour, t),
        *data.front_door(found.front_door, t),
        *kept(found.kept, t),
    ]  # fmt: skip
    severities = ("error", "warning", "unknown")
    return sorted(said, key=lambda one: (SUBJECTS.index(one.subject), severities.index(one.severity)))


def fine(said: Sequence[Advice]) -> list[Subject]:
    """The subjects that were looked at, all of them, and nothing was found."""
    return [subject for subject in SUBJECTS if all(one.subject != subject for one in said)]


def exit_code(said: Sequence[Advice]) -> int:
    """1 if there is something to mend; what could not be looked at is told, and mends nothing."""
    return int(any(one.severity != "unknown" for one in said))
