"""The kept things of an installation: the file that the settings name, who may change it, the plan with its alerts."""

from __future__ import annotations

from pipeline.errors import UserError
from pipeline.kept.store import KeptStore
from pipeline.kept.things import Kept
from pipeline.settings import Settings, plan_of
from schemas.alerts import Alert, check_alerting
from schemas.plan import Plan
from schemas.plan_checks import alert_remarks
from schemas.translatable import TranslatableError


def open_kept(settings: Settings) -> KeptStore | None:
    """The file of kept things; None where the settings name none. Raises UserError, DependencyError."""
    return KeptStore(settings.kept) if settings.kept is not None else None


def may_change(settings: Settings, user: str) -> bool:
    """Whether somebody of that name ("": of none) may change what is kept."""
    editors = {name.strip() for name in settings.kept_editors.split(",") if name.strip()}
    if settings.kept is None:
        return False
    if "*" in editors:
        return True
    return bool(user) and (not editors or user in editors)


def with_alert(plan: Plan, name: str, alert: Alert) -> Plan:
    """The plan with one more alert. Raises UserError, one line, where the plan has no figure for it."""
    if name in plan.alerting.alerts:
        raise UserError("the plan has an alert {name} already", name=name)
    alerting = plan.alerting.model_copy(update={"alerts": {**plan.alerting.alerts, name: alert}})
    try:
        check_alerting(
            alerting,
            dimensions=plan.dimensions,
            funnels=plan.funnels,
            events=plan.events if plan.unknown_events == "reject" else None,
            lateness=plan.lateness,
        )
    except ValueError as exc:
        raise _of_alert(name, exc) from None
    found = plan.model_copy(update={"alerting": alerting})
    for remark in alert_remarks(found, name, alert):
        if not remark.warning:
            raise UserError.of(remark.message)
    return found


def _of_alert(name: str, exc: ValueError) -> UserError:
    """The mistake, without the alert's own place: whoever makes it knows which it is."""
    values = exc.said.values if isinstance(exc, TranslatableError) else {}
    if "place" not in values:
        return UserError.of(exc)
    place, why = str(values["place"]), values["why"]
    inner = place.removeprefix(f"alerting.alerts.{name}").lstrip(".")
    if not inner and isinstance(why, Exception):
        return UserError.of(why)
    return UserError("{place}: {why}", place=inner, why=why)


def with_kept(plan: Plan, kept: Kept) -> tuple[Plan, dict[str, UserError]]:
    """The plan with the kept alerts and annotations; and the alerts that it can't have, with why."""
    left_out: dict[str, UserError] = {}
    happened = tuple(kept.annotations[id_].value for id_ in sorted(kept.annotations))
    plan = plan.model_copy(update={"annotations": (*plan.annotations, *happened)})
    for name, entry in sorted(kept.alerts.items()):
        try:
            plan = with_alert(plan, name, entry.value)
        except UserError as exc:
            left_out[name] = exc
    return plan, left_out


def kept_of(settings: Settings) -> Kept:
    """What is kept now; nothing without a file. Raises UserError, DependencyError."""
    if settings.kept is None or not settings.kept.is_file():
        return Kept()
    store = KeptStore(settings.kept)
    try:
        return store.read()
    finally:
        store.close()


def plan_with_kept(settings: Settings) -> Plan:
    """The plan that the settings name, with kept alerts and annotations. Raises UserError, DependencyError."""
    return with_kept(plan_of(settings), kept_of(settings))[0]
