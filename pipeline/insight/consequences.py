"""What a fall of a step costs: how many fewer got there, and how many fewer came to the end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.insight.funnel_changes import Days
from pipeline.insight.model import Drop


@dataclass(frozen=True)
class Lost:
    """People fewer since the fall: that got to the step, and of those by all likelihood to the last one."""

    to_step: float
    to_end: float


def lost(drop: Drop, titles: Sequence[str], whole: Days) -> Lost:
    """What would have come if the share had stayed what it was: of the segment that fell, or of all.

        to_step = entered since * (share before - share since)
        to_end  = to_step * (users of the last step / users of the step), over all days

    The second takes those who are missing for people like those who got there.
    """
    part = drop.segment
    before, after, entered = (
        (drop.before, drop.after, float(drop.n_after))
        if part is None
        else (part.before, part.after, part.n_after)
    )  # fmt: skip
    to_step = max(0.0, entered * (before - after))
    step = list(titles).index(drop.following)
    reached, ended = (sum(users[k] for users in whole.values()) for k in (step, -1))
    return Lost(to_step, to_step * ended / reached if reached else 0.0)
