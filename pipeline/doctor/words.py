"""What the doctor says, as lines for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.doctor.diagnosis import fine
from pipeline.doctor.model import IN_CHINESE, Advice, Severity, Subject
from pipeline.render.language import Language

_SEVERITIES: Final[dict[Severity, tuple[str, str]]] = {
    "error": ("error", "错误"), "warning": ("warning", "警告"), "unknown": ("not looked at", "未检查"),
}  # fmt: skip


def lines(said: Sequence[Advice], t: Language, *, quick: bool = False) -> Iterator[str]:
    """Each advice with what to do, then what was looked at and is well; not so where the look was a `quick` one."""
    for one in said:
        severity = t(*_SEVERITIES[one.severity])
        yield t(f"{one.subject}: {severity}: {one.sentence}", f"{_name(one.subject, t)}：{severity}：{one.sentence}")
        if one.todo:
            yield f"    {one.todo}"
    if quick:
        return
    if good := fine(said):
        yield t("well: ", "正常：") + t(", ", "、").join(_name(subject, t) for subject in good)
    errors = sum(one.severity == "error" for one in said)
    warnings = sum(one.severity == "warning" for one in said)
    unknown = sum(one.severity == "unknown" for one in said)
    yield t(
        f"{errors} errors, {warnings} warnings, {unknown} not looked at",
        f"{errors} 个错误，{warnings} 个警告，{unknown} 项未检查",
    )


def _name(subject: Subject, t: Language) -> str:
    return t(subject, IN_CHINESE[subject])
