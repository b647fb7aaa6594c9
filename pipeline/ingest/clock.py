"""What time it is, by a partition's log alone: a guard against producers whose clock is ahead.

Where the broker writes the records' times (`message.timestamp.type=LogAppendTime`), they are the time. Where producers
write them (CreateTime), a record says only what its producer's clock said. Such a time is believed if it is not ahead
of what was believed before by more than the tolerance. One that is further ahead is a claim: after a quiet time it is
right, and of a producer whose clock is in 2099 it is wrong, and one record can't tell which. So the claim waits: it is
believed once a record comes that is at least `CONFIRMED_AFTER` later, and none that contradicts it has come in between.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.duration import DAY

Times = npt.NDArray[np.int64]
#: How long (by the records' times) a claim has to go on without being contradicted, ms.
CONFIRMED_AFTER: Final = 10_000
#: An event whose record is so far ahead of the believed time is not counted live, ms.
FAR: Final = 30 * DAY


class Standing(NamedTuple):
    """How a partition's clock stands; all in epoch ms, 0 where there is none."""

    #: The latest time that is believed.
    now: int = 0
    #: The earliest of the times that wait to be believed,
    claim: int = 0
    #: and the largest event time that came with them: the watermark's once they are.
    claimed: int = 0


class Believed(NamedTuple):
    """What the next records do to the clock, column by column."""

    #: The event time to which each moves the watermark; 0: it moves nothing.
    moves: Times
    #: Which are so far ahead that they are not counted live.
    far: npt.NDArray[np.bool_]
    #: The clock after each.
    now: Times
    claim: Times
    claimed: Times

    def standing(self, i: int) -> Standing:
        """The clock after record `i`."""
        return Standing(int(self.now[i]), int(self.claim[i]), int(self.claimed[i]))


def believe(start: Standing, tolerance: int, written: Times, trusted: npt.NDArray[np.bool_], times: Times) -> Believed:
    """What to believe of the next records of a partition whose clock stands at `start`.

    `written` is when each was written, by the broker's clock if `trusted`, else by its producer's; `times` are the
    events' own times. A time that is ahead by no more than `tolerance` (ms) is believed at once.
    """
    n = len(written)
    none = np.zeros(n, np.int64)
    if trusted.all():
        return Believed(times, none.astype(np.bool_), written, none, none)
    if start.now and not trusted.any() and written.max() <= start.now + tolerance:
        reached = np.maximum(np.maximum.accumulate(written), start.now)
        return Believed(times, none.astype(np.bool_), reached, none, none)
    if not start.now and not trusted.any() and _goes_on_waiting(start, written):
        largest = np.maximum(np.maximum.accumulate(times), start.claimed)
        return Believed(none, none.astype(np.bool_), none, np.full(n, start.claim), largest)
    moves, far = none.copy(), none.astype(np.bool_)
    after = np.empty((3, n), np.int64)
    now, claim, claimed = start
    for i, (time, sure, ts) in enumerate(zip(written.tolist(), trusted.tolist(), times.tolist(), strict=True)):
        move = ts if now and ts <= now + tolerance else 0
        if sure:
            now, claim, claimed, move = time, 0, 0, ts
        elif now and time <= now + tolerance:
            now, claim, claimed = max(now, time), 0, 0
        elif not claim or time < claim:
            claim, claimed = time, ts
        elif time < claim + CONFIRMED_AFTER:
            claimed = max(claimed, ts)
        else:
            now, move = claim, max(move, claimed)
            if time <= now + tolerance:
                now, claim, claimed, move = time, 0, 0, max(move, ts)
            else:
                claim, claimed = time, ts
        moves[i], after[:, i] = move, (now, claim, claimed)
        far[i] = not sure and now > 0 and time > now + FAR
    return Believed(moves, far, *after)


def _goes_on_waiting(start: Standing, written: Times) -> bool:
    """Whether nothing is believed yet, and none of the times confirms the claim that waits or comes before it."""
    return 0 < start.claim <= int(written.min()) and int(written.max()) < start.claim + CONFIRMED_AFTER
