"""What a check says, and the fact that could not be had: it is told as such, and never taken for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: `error`: something is lost, stands still or soon will; `warning`: it will not stand a fault; `unknown`: not looked at.
Severity = Literal["error", "warning", "unknown"]
Subject = Literal[
    "ports",
    "disk",
    "memory",
    "clocks",
    "versions",
    "topics",
    "rights",
    "plan",
    "lag",
    "parts",
    "rejected",
    "front door",
    "kept things",
]
#: In the order in which they are told.
SUBJECTS: Final[tuple[Subject, ...]] = (
    "ports", "disk", "memory", "clocks", "versions", "topics", "rights", "plan", "lag", "parts", "rejected", "front door",
    "kept things",
)  # fmt: skip


@dataclass(frozen=True)
class Unknown:
    """A fact that could not be had, and why, in a few words."""

    why: str


@dataclass(frozen=True)
class Advice:
    """One thing that a check has to say of a subject, and what to do about it."""

    subject: Subject
    severity: Severity
    sentence: str
    todo: str = ""
