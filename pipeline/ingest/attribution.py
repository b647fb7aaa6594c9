"""As whom the events of a batch count: records that are no events but tell of links, what events claim, and who moves.

The answer is a function of the partition's log, but for one thing that changes no answer: which pairs of user and
device are remembered as told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.ingest.aliases import ALIASES, Aliases, deciding
from pipeline.ingest.attributes import ATTRIBUTES_HEADER, read_attributes
from pipeline.ingest.handover import HANDOVER_HEADER, Handover, read_handovers
from pipeline.ingest.links import (
    DECIDED,
    LINK_HEADER,
    Claim,
    Kind,
    Link,
    Owners,
    Telling,
    claims_of,
    last,
    read_links,
    resolve,
)
from pipeline.ingest.partitioner import homes_of
from pipeline.ingest.records import Classified, Outcome
from pipeline.ingest.refused import REFUSED_HEADER, refusal
from pipeline.ingest.seen import HashTable
from pipeline.ingest.validate import Rejection
from schemas.event import Event
from schemas.plan import Plan

#: Pairs of user and device that are remembered as told, each 16 bytes at most.
_MAX_TOLD: Final = 2_000_000
_BOTH: Final = attrgetter("user_id", "anonymous_id")


class Attribution:
    """Whose the events of one partition are."""

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        self._partition, self._partitions = partition, partitions
        #: Whom the ids that live here belong to.
        self.owners = Owners(plan.identity.shared_device)
        #: All aliases, in the partition that decides on them.
        self.aliases = Aliases(plan.identity.shared_device)
        self._decides = deciding(partitions) == partition
        self.on = plan.identity.on
        self._aliases = plan.aliases
        alias = plan.identity.alias
        self._alias = (alias.event, alias.previous.removeprefix("properties.")) if alias is not None else None
        #: Hashes of pairs of user and device that were told before, so that not every event tells: no part of the
        #: state, for telling again changes nothing. Two pairs of one hash are as rare as two event ids (`SeenIds`).
        self._told = HashTable()

    def no_event(self, result: Classified, i: int) -> list[str]:
        """Of a record that is no event, but tells or hands over something: the ids in whose home it should be.

        None of all others. Raises Rejection if it should be one and can't be read.
        """
        record = result.records[i]
        names = {name for name, _ in record.headers}
        if REFUSED_HEADER in names:
            raise refusal(record.headers)
        if ATTRIBUTES_HEADER in names:
            try:
                told = result.attributes[i] = read_attributes(record.value)
            except ValueError as exc:
                raise Rejection("bad_attributes", str(exc)) from None
            return [told.id]
        if not self.on or (LINK_HEADER not in names and HANDOVER_HEADER not in names):
            return []
        try:
            if LINK_HEADER in names:
                # What becomes of them is decided when all records before are known.
                claims = read_links(record.value, self._aliases)
                result.claims += [(i, claim) for claim in claims]
                if last(record.headers, LINK_HEADER) == DECIDED:
                    result.decided.add(i)
                elif self._decides:
                    return [ALIASES if claim.kind == "alias" else claim.id for claim in claims]
                return [claim.id for claim in claims]
            handovers = read_handovers(record.value, record.headers)
            result.handovers += [(i, handover) for handover in handovers]
            return [handover.person for handover in handovers]
        except ValueError as exc:
            raise Rejection("bad_link", str(exc)) from None

    def refuse_astray(self, result: Classified, between: Sequence[tuple[int, str]]) -> None:
        """Of the records that are no events, reject those that lie in another home than that of their ids."""
        homes = homes_of([one for _, one in between], self._partitions).tolist()
        astray: set[int] = set()
        for (i, one), home in zip(between, homes, strict=True):
            if home == self._partition:
                result.outcomes[i] = Outcome.LINK
            elif i not in astray:
                astray.add(i)
                result.rejections[i] = Rejection("bad_link", f"{one!r:.60} lives in another partition")
        for i in astray:
            result.outcomes[i] = Outcome.REJECTED
            result.decided.discard(i)
            result.attributes.pop(i, None)
        if astray:
            result.claims = [found for found in result.claims if found[0] not in astray]
            result.handovers = [found for found in result.handovers if found[0] not in astray]

    def identify(
        self, result: Classified, here: list[int], claiming: list[tuple[int, Claim]]
    ) -> npt.NDArray[np.bool_] | None:
        """Find as whom each event counts, in the order of the log, and what becomes of the claims.

        Returns which of the events `here` count as somebody of another partition, None if none does.
        """
        events, hops = result.events, result.hops
        turns: list[tuple[int, Claim | Handover | None]] = [*result.handovers]
        claiming = [*result.claims, *claiming]
        # Whoever decides on an alias tells its home, and who learns of one otherwise tells who decides.
        where = [ALIASES if claim.kind == "alias" and i not in result.decided else claim.id for i, claim in claiming]
        homes = homes_of(where, self._partitions).tolist() if claiming else ()
        for (i, claim), home in zip(claiming, homes, strict=True):
            if home == self._partition:
                turns.append((i, claim))
            else:
                result.tellings.append(Telling(i, home, claim))
        # Nearly everybody is nobody else: only whose links are known, or become known in this batch, take a turn.
        claimed = {claim.id for _, claim in turns if isinstance(claim, Claim)}
        knows = self.owners.knows
        for i in here if self._aliases else result.alone:
            event = events[i]
            if event is not None and i not in result.forwarded and (event.actor in claimed or knows(event.actor)):
                turns.append((i, None))
        if not turns:
            return None
        turns.sort(key=lambda turn: (turn[0], turn[1] is not None))
        moved: list[tuple[int, str]] = []
        for i, found in turns:
            if isinstance(found, Handover):
                result.handed.append(resolve(self.owners, found.person, found.hops))
                continue
            if found is not None:
                if found.kind != "alias" or not self._decides or self._decide(result, i, found):
                    ruling = self.owners.claim(found.id, found.person)
                    if ruling is not None:
                        result.links.append(Link(i, found, ruling, *resolve(self.owners, found.id)))
                continue
            event = events[i]
            assert event is not None
            person, passed = resolve(self.owners, event.actor, hops.get(i, 0))
            if person != event.actor:
                event.actor, hops[i] = person, passed
                moved.append((i, person))
            elif self.owners.is_shared(person):
                result.shared.append(i)
        if not moved:
            return None
        home_of = homes_of([person for _, person in moved], self._partitions)
        away = {i: home for (i, _), home in zip(moved, home_of.tolist(), strict=True) if home != self._partition}
        if not away:
            return None
        result.forwarded |= away
        return np.fromiter((i in away for i in here), np.bool_, len(here))

    def _decide(self, result: Classified, i: int, claim: Claim) -> bool:
        """Decide on an alias; True if it holds and its id lives here. What lives elsewhere is told."""
        ruling = self.aliases.claim(claim.id, claim.person)
        if ruling is None:
            return False
        home = int(homes_of([claim.id], self._partitions)[0])
        if ruling == "linked" and home == self._partition:
            return True
        if ruling == "linked":
            result.tellings.append(Telling(i, home, claim, decided=True))
        result.links.append(Link(i, claim, "decided" if ruling == "linked" else ruling, claim.id, 0))
        return False

    def restore(self, links: Sequence[tuple[str, str, Kind]]) -> None:
        """Rule again as the log did: claims that changed something, each with its kind, in its order."""
        aliases = [one for one, _, kind in links if kind == "alias"] if self._decides else []
        homes = homes_of(aliases, self._partitions).tolist() if aliases else ()
        here = {one for one, home in zip(aliases, homes, strict=True) if home == self._partition}
        for one, person, kind in links:
            if kind == "alias" and self._decides and (self.aliases.claim(one, person) != "linked" or one not in here):
                continue
            self.owners.claim(one, person)

    def claims(self, result: Classified, valid: list[int], sent: Sequence[Event]) -> list[tuple[int, Claim]]:
        """What events claim that was not claimed before, as far as is remembered: nearly always nothing.

        `sent` are the valid events, `valid` their indexes.
        """
        events, hops, forwarded = result.events, result.hops, result.forwarded
        at: dict[int, None] = {}
        fresh: set[int] = set()
        for j, pair in self._untold(sent) if any(event.anonymous_id for event in sent) else ():
            i = valid[j]
            # One that was sent on as somebody claims where its user lives, as does one that came to a wrong partition.
            if pair not in fresh and i not in hops and i not in forwarded and events[i] is not None:
                fresh.add(pair)
                if all(_BOTH(sent[j])):
                    at[i] = None
        if fresh:
            if self._told.used > _MAX_TOLD:
                self._told = HashTable()
            self._told.add(np.fromiter(fresh, np.uint64, len(fresh)))
        if self._alias is not None:
            # An alias claims each time, and needs no device.
            name = self._alias[0]
            aliases = [i for i, event in enumerate(events) if event is not None and event.name == name]
            at |= dict.fromkeys(i for i in aliases if i not in hops and i not in forwarded)
        claiming: list[tuple[int, Claim]] = []
        for i in sorted(at):
            event = events[i]
            assert event is not None
            claiming += [(i, claim) for claim in claims_of(event, self._alias)]
        return claiming

    def _untold(self, sent: Sequence[Event]) -> Iterable[tuple[int, int]]:
        """Which of the events have ids that were not told before, and the hash of both.

        It is asked of all at once, of those with one id as well: to leave them out would take longer.
        """
        pairs = np.fromiter(map(hash, map(_BOTH, sent)), np.int64, len(sent)).view(np.uint64) | np.uint64(1)
        new = np.flatnonzero(~self._told.contains(pairs))
        return zip(new.tolist(), pairs[new].tolist(), strict=True)
