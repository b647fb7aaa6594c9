"""What is kept, as pages see it: read for each request, with the plan that its alerts and annotations make."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.errors import DependencyError, UserError
from pipeline.kept.current import may_change, open_kept, with_kept
from pipeline.kept.store import KeptStore
from pipeline.kept.things import Kept
from pipeline.settings import Settings
from schemas.plan import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptView:
    """What is kept, for one request."""

    #: None where it is switched off.
    store: KeptStore | None = None
    now: Kept = field(default_factory=Kept)
    #: Whether whoever asks may change it.
    may_change: bool = False
    #: Kept alerts that the plan has no figures for, with why.
    left_out: Mapping[str, UserError] = field(default_factory=dict)
    #: Why nothing can be read.
    problem: str = ""

    @property
    def changeable(self) -> bool:
        """Whether pages offer to keep something."""
        return self.store is not None and self.may_change and not self.problem


#: Where nothing is kept.
OFF: Final = KeptView()


class Keeping:
    """The file of kept things of a dashboard. Raises UserError for one that can't be used."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._settings, self._plan = settings, plan
        # One to read and one to write: nobody who looks waits for the disk of somebody who writes.
        self._reader, self.writer = open_kept(settings), open_kept(settings)
        self._known: tuple[Kept, Plan, dict[str, UserError]] | None = None
        self.problem = ""

    def close(self) -> None:
        """Close the file."""
        for store in (self._reader, self.writer):
            if store is not None:
                store.close()

    def view(self, user: str) -> tuple[KeptView, Plan]:
        """What is kept, for somebody of that name; and the plan with the kept alerts and annotations."""
        if self._reader is None:
            return OFF, self._plan
        try:
            now = self._reader.read()
        except DependencyError as exc:
            # Said on its pages and in /health; everything else goes on.
            if self.problem != str(exc):
                log.error("%s", exc)
            self.problem = str(exc)
            return KeptView(self._reader, problem=self.problem), self._plan
        self.problem = ""
        if self._known is None or self._known[0] is not now:
            self._known = (now, *with_kept(self._plan, now))
        _, plan, left_out = self._known
        return KeptView(self._reader, now, may_change(self._settings, user), left_out), plan
