"""Whether boards, segments, annotations and alerts that were made in pages still fit. Pure: facts in, advice out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.doctor.model import Advice
from pipeline.errors import StreamgaugeError
from pipeline.kept.misfits import Misfit
from pipeline.render.language import Language

#: So many are told; a plan that has lost an event can leave hundreds.
_MOST: Final = 10


def kept(found: Sequence[Misfit] | StreamgaugeError, t: Language) -> list[Advice]:
    """What no longer fits, and what to do about each."""
    if isinstance(found, StreamgaugeError):
        todo = t(
            "boards, segments, annotations and alerts are not shown until it can be read: mend it, or restore a back-up"
        )
        return [Advice("kept things", "error", t.said(found), todo)]
    said = [Advice("kept things", "warning", _sentence(one, t), _todo(one, t)) for one in found[:_MOST]]
    if left := len(found) - len(said):
        said.append(Advice("kept things", "warning", t("and {left} more", left=left)))
    return said


def _sentence(one: Misfit, t: Language) -> str:
    why = t.said(one.why)
    if one.chart:
        return t("the chart {chart} of the board {board}: {why}", chart=one.chart, board=one.name, why=why)
    return t("the kept {kind} {name}: {why}", kind=t.of("kept", one.kind), name=one.name, why=why)


def _todo(one: Misfit, t: Language) -> str:
    if not one.readable:
        return t("a newer Streamgauge made it: use that one, or remove it from its history")
    if one.chart:
        return t(
            "take it off the board (Edit), or put back into the plan what it names; until then it shows this sentence"
        )
    if one.kind == "board":
        return t("keep another filter with the board, or put back into the plan what it names")
    if one.kind == "segment":
        return t(
            "make it anew under its name, or remove it (page Annotations and alerts); until then questions with it give no answer"
        )
    return t("it is not evaluated: remove it (page Annotations and alerts), or put into the plan what it needs")
