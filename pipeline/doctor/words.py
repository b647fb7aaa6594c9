"""What the doctor says, as lines for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.doctor.diagnosis import fine
from pipeline.doctor.model import Advice, Severity, Subject
from pipeline.render.language import Language

SEVERITIES: Final[dict[Severity, str]] = {
    "error": "error", "warning": "warning", "unknown": "not looked at",
}  # fmt: skip


def lines(said: Sequence[Advice], t: Language, *, quick: bool = False) -> Iterator[str]:
    """Each advice with what to do, then what was looked at and is well; not so where the look was a `quick` one."""
    for one in said:
        severity = t.of("severity", SEVERITIES[one.severity])
        yield t(
            "{subject}: {severity}: {sentence}",
            subject=_name(one.subject, t),
            severity=severity,
            sentence=one.sentence,
        )
        if one.todo:
            yield f"    {one.todo}"
    if quick:
        return
    if good := fine(said):
        yield t("well: ") + t(", ").join(_name(subject, t) for subject in good)
    errors = sum(one.severity == "error" for one in said)
    warnings = sum(one.severity == "warning" for one in said)
    unknown = sum(one.severity == "unknown" for one in said)
    yield t(
        "{errors} errors, {warnings} warnings, {unknown} not looked at",
        errors=errors,
        warnings=warnings,
        unknown=unknown,
    )


def _name(subject: Subject, t: Language) -> str:
    return t.of("subject", subject)
