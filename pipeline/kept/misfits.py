"""What is kept and no longer fits: the plan has lost what it names, or this version can't read it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from pipeline.errors import UserError
from pipeline.explore.address import KINDS, read, read_rule, read_scope
from pipeline.explore.given import AddressReader
from pipeline.kept.current import with_kept
from pipeline.kept.things import Kept, Kind
from pipeline.metrics import arguments_for, metrics
from pipeline.metrics.arguments import no_metric
from schemas.plan import Plan


class Misfit(NamedTuple):
    """A thing that no longer fits: its kind, what it is called, why; of a chart its board, too."""

    kind: Kind
    name: str
    why: UserError
    chart: str = ""
    #: Whether it can be read at all.
    readable: bool = True


def misfits(plan: Plan, kept: Kept, today: date) -> list[Misfit]:
    """Everything that is kept and does not fit the plan, as of a day."""
    return list(_misfits(plan, kept, today))


def _misfits(plan: Plan, kept: Kept, today: date) -> Iterator[Misfit]:
    def mistake(look: Callable[[AddressReader], object], address: Mapping[str, str]) -> UserError | None:
        # Who may look at people is no question of what fits.
        try:
            look(AddressReader(address, plan, today, True, kept.rules))
        except UserError as exc:
            return exc
        return None

    for kind, id_, why in kept.unreadable:
        yield Misfit(kind, id_, why, readable=False)
    for entry in kept.boards.values():
        title, board = entry.value.title, entry.value
        if (wrong := mistake(read_scope, board.filter.at(today))) is not None:
            yield Misfit("board", title, wrong)
        for chart in board.charts:
            if (wrong := mistake(_read_chart, chart.at(today))) is not None:
                yield Misfit("board", title, wrong, chart.title)
    for entry in kept.segments.values():
        if (wrong := mistake(read_rule, entry.value.address)) is not None:
            yield Misfit("segment", entry.value.title, wrong)
    for name, wrong in with_kept(plan, kept)[1].items():
        yield Misfit("alert", name, wrong)


def _read_chart(given: AddressReader) -> None:
    kind = given.text("kind")
    if kind in KINDS:
        read(given, kind)
        return
    found = metrics().get(given.text("metric"))
    if found is None:
        raise no_metric(given.text("metric"), metrics())
    names = {parameter.name for parameter in found.parameters}
    own = {name: value for name, value in given.query.items() if name in names and value}
    arguments_for(found, own, given.plan, given.today)
    read_scope(given)
