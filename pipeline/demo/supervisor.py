"""Keeps the parts of the system running: one that ends is started again where it was, with growing pauses.

One that is there and answers no more (frozen, in an endless loop, waiting for itself) is ended first. A part that
doesn't stay up is given up after some tries, with one clear line: whoever watches `up` should not believe that
something runs which doesn't.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiokafka.errors import KafkaError

from pipeline.errors import DependencyError, UserError
from pipeline.process import first_of
from schemas.translatable import Sentence, said_of

log = logging.getLogger(__name__)

#: What starting a part may fail with and may not the next time.
_PASSING = (UserError, DependencyError, KafkaError, OSError, TimeoutError)


@dataclass(frozen=True)
class Patience:
    """How often a part is started again, and how long after it ended. Seconds."""

    tries: int = 8
    first_pause: float = 1.0
    longest_pause: float = 30.0
    #: A part that has run for so long was well: its earlier tries no longer count.
    well_after: float = 60.0
    look_every: float = 0.3
    #: A part is asked for a sign of life so often; an answer may take so long; after so many questions in a row that
    #: had none it is ended. A count, for our own time may stand still too (Ctrl-Z).
    ask_every: float = 5.0
    answer_within: float = 10.0
    questions: int = 6

    def pause(self, tries: int) -> float:
        """How long to wait before a try, from 1."""
        return min(self.first_pause * 2.0 ** min(tries - 1, 30), self.longest_pause)


@dataclass
class Part:
    """A part of the system: how it is started (where it listened before), and whether it runs."""

    #: What people call it.
    name: str
    start: Callable[[], Awaitable[None]]
    running: Callable[[], bool]
    #: How it ended, in words.
    ended: Callable[[], str]
    where: Callable[[], str]
    #: Whether it gives a sign of life, and how it is ended at once when it does no more.
    answers: Callable[[], Awaitable[bool]]
    kill: Callable[[], None]
    #: It can't run without this one.
    needs: Part | None = None
    #: Why it is not even tried at the moment, if it isn't: for want of something that others have to mend.
    blocked: Callable[[], str | None] = lambda: None
    #: Whether it ended and is not back yet.
    away: bool = False
    #: Whether we ended it ourselves, for the sake of what it needs.
    told_to_end: bool = False
    started_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """Starts parts again that have ended. `say` is told each end and each return, in one sentence."""

    def __init__(self, parts: Sequence[Part], say: Callable[[str], None], patience: Patience | None = None) -> None:
        self.parts, self._say, self._patience = tuple(parts), say, patience or Patience()

    @property
    def away(self) -> list[str]:
        """The parts that have ended and are not back."""
        return [part.name for part in self.parts if part.away]

    async def run(self) -> None:
        """Keep all parts running until cancelled. Raises DependencyError if one can't be."""
        await first_of(*(self._keep(part) for part in self.parts))

    async def _keep(self, part: Part) -> None:
        tries, trouble_since = 0, 0.0
        while True:
            why = await self._end_of(part)
            ended_at = time.monotonic()
            lived = ended_at - part.started_at
            part.away = True
            if lived >= self._patience.well_after:
                tries = 0
            if not part.told_to_end:
                said = Sentence(
                    "{part} ended after {seconds} s ({why}): starting it again",
                    part=part.name, seconds=f"{lived:.0f}", why=why,
                )  # fmt: skip
                self._say(said)
            while True:
                await self._unblocked(part)
                if not part.told_to_end and not _away(part.needs):
                    tries += 1
                    trouble_since = ended_at if tries == 1 else trouble_since
                    if tries > self._patience.tries:
                        took = time.monotonic() - trouble_since
                        raise DependencyError(
                            "{part} can't be kept running, {tries} tries in {seconds} s failed: {why}",
                            part=part.name, tries=tries - 1, seconds=f"{took:.0f}", why=why,
                        )  # fmt: skip
                    await asyncio.sleep(self._patience.pause(tries))
                while _away(part.needs):
                    await asyncio.sleep(self._patience.look_every)
                part.told_to_end = False
                try:
                    await part.start()
                    break
                except _PASSING as exc:
                    why = said_of(exc) or type(exc).__name__
                    if not part.told_to_end:
                        said = Sentence(
                            "{part} could not be started (try {tries} of {most}): {why}",
                            part=part.name, tries=tries, most=self._patience.tries, why=why,
                        )  # fmt: skip
                        self._say(said)
            part.started_at = time.monotonic()
            part.away = False
            away = f"{part.started_at - ended_at:.0f}"
            self._say(
                Sentence(
                    "{part} is back at {where}, after {seconds} s", part=part.name, where=part.where(), seconds=away
                )
            )

    async def _unblocked(self, part: Part) -> None:
        """Return when nothing keeps a part from being tried; says what does, once."""
        said = False
        while (why := part.blocked()) is not None:
            if not said:
                self._say(Sentence("{part} waits: {why}", part=part.name, why=why))
                said = True
            await asyncio.sleep(self._patience.look_every)

    async def _end_of(self, part: Part) -> str:
        """Return when a part has ended, and how; ends it if it answers no more."""
        patience, unanswered, silent_since = self._patience, 0, 0.0
        ask_at = time.monotonic() + patience.ask_every
        while part.running():
            await asyncio.sleep(patience.look_every)
            asked_at = time.monotonic()
            if asked_at < ask_at:
                continue
            if await self._answers(part):
                unanswered = 0
            elif part.running():
                unanswered += 1
                silent_since = asked_at if unanswered == 1 else silent_since
            if unanswered >= patience.questions:
                part.kill()
                while part.running():
                    await asyncio.sleep(patience.look_every)
                silent = time.monotonic() - silent_since
                return Sentence(
                    "it gave no answer for {seconds} s, to {questions} questions, and was killed",
                    seconds=f"{silent:.0f}", questions=unanswered,
                )  # fmt: skip
            ask_at = asked_at + patience.ask_every
        return part.ended()

    async def _answers(self, part: Part) -> bool:
        try:
            async with asyncio.timeout(self._patience.answer_within):
                return await part.answers()
        except TimeoutError:
            return False


def _away(part: Part | None) -> bool:
    return part is not None and (part.away or not part.running())
