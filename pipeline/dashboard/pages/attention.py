"""What needs attention: steps that fell, alerts that fire, and what follows from each rather than a list of consequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.alerts.prometheus import ActiveAlert
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import note_bad, note_good
from pipeline.dashboard.pages.drops import Looked, known, look
from pipeline.insight.consequences import lost
from pipeline.insight.model import Drop
from pipeline.insight.sentences import by_break, finding_with
from pipeline.render.html import Safe, h, text
from schemas.alerts import Alert
from schemas.plan import Plan

_ORDER_SQL: Final = """\
SELECT toFloat64(sum(amount)) / uniqExact(order_id) FROM payments
WHERE day >= {first:Date} AND toDate(ts) >= {first:Date} - 1"""
_KEEP: Final = 600.0


def chains(firing: Sequence[ActiveAlert], alerts: Mapping[str, Alert]) -> list[tuple[ActiveAlert, list[ActiveAlert]]]:
    """Each alert that nothing else explains, with those that it explains (`under`), directly or through others. Pure."""
    names = [alert.name for alert in firing]

    def causes(name: str) -> set[str]:
        """All that explain it and fire; itself too where alerts explain each other in a circle."""
        seen: set[str] = set()
        ahead = [name]
        while ahead:
            spec = alerts.get(ahead.pop())
            more = {cause for cause in (spec.under if spec is not None else ()) if cause in names} - seen
            seen |= more
            ahead += more
        return seen

    above = {name: causes(name) for name in names}
    roots = [name for name in names if not above[name] or name in above[name]]
    following: dict[str, list[ActiveAlert]] = {name: [] for name in roots}
    for alert in firing:
        if alert.name not in following:
            # Of several causes the first that fires: a consequence is told once.
            following[next(root for root in roots if root in above[alert.name])].append(alert)
    told: set[str] = set()
    found = []
    for alert in firing:
        if alert.name in following:
            found.append((alert, [] if alert.name in told else following[alert.name]))
            told.add(alert.name)  # of one name several fire: one a segment
    return found


def of_step(drop: Drop, others: Sequence[Drop], name: str, plan: Plan) -> bool:
    """Whether the alert watches a step that fell. Pure."""
    spec = plan.alerting.alerts.get(name)
    if spec is None or spec.funnel is None or spec.step is None:
        return False
    for one in (drop, *others):
        if one.funnel == spec.funnel:
            titles = [step.title for step in plan.funnels[spec.funnel].steps]
            return titles[plan.funnels[spec.funnel].step_number(spec.step) - 1] == one.following
    return False


def alerts(context: Context) -> Safe:
    """Alerts that fire and are not told with a step that fell; each with what follows from it. Live."""
    looked = known(context)
    fallen = by_break(looked.drops) if looked is not None else []
    items = []
    for alert, following in chains(context.alerts.firing or (), context.plan.alerting.alerts):
        if any(of_step(drop, others, one.name, context.plan) for drop, others in fallen for one in (alert, *following)):
            continue
        items.append(
            h(
                "li",
                note_bad(
                    h("strong", _alert_words(context, alert)),
                    " ",
                    alert.summary,
                    " ",
                    alert.todo,
                    _following(context, following),
                ),
            )
        )
    return h("ul", *items, class_="findings") if items else text()


async def fallen(context: Context) -> Safe:
    """The steps that fell, with the alerts that fire for them and what they cost; or a word that there are none."""
    t = context.t
    looked = await look(context)
    if looked.days < 2:
        return note_good(t("Funnels: no whole days to compare yet."))
    found = by_break(looked.drops)
    if not found:
        return note_good(
            t("Funnels: no step fell surely in the last {days} whole days.", days=looked.days)
        )  # fmt: skip
    chained = chains(context.alerts.firing or (), context.plan.alerting.alerts)
    items = []
    for drop, others in found:
        said = finding_with(t, drop, others)
        fires: list[ActiveAlert] = []
        following: list[ActiveAlert] = []
        for alert, more in chained:
            group = (alert, *more)
            own = [one for one in group if of_step(drop, others, one.name, context.plan)]
            fires += own
            following += [one for one in group if own and one not in own]
        alerting = (
            h("br"),
            h("small", t("It fires: "), "; ".join(_alert_words(context, one) for one in fires)),
        )
        items.append(h("li", note_bad(
            h("strong", said.what), " ", said.advice, h("br"), h("small", f"{said.why} ({said.sure})"),
            h("br"), h("small", await _costs(context, looked, drop)), alerting if fires else None, _following(context, following))))  # fmt: skip
    return h("ul", *items, class_="findings")


async def _costs(context: Context, looked: Looked, drop: Drop) -> str:
    """What follows from a fall: people and orders that are missing since."""
    t, funnel = context.t, context.plan.funnels[drop.funnel]
    titles = [step.title for step in funnel.steps]
    missing = lost(drop, titles, looked.whole[drop.funnel])
    said = t(
        "What follows: since then about {to_step} fewer people got to {following}",
        to_step=t.number(missing.to_step),
        following=drop.following,
    )
    last = funnel.steps[-1].event
    if any(payment.event == last for payment in context.plan.meanings.payment):
        answer = await context.store.ask(_ORDER_SQL, {"first": looked.first.isoformat()}, keep=_KEEP)
        worth = answer.rows[0][0]
        said += t(", about {to_end} fewer orders", to_end=t.number(missing.to_end))
        if worth and worth == worth:  # not a number without any order
            said += t(" and {to_end} less revenue", to_end=t.money(missing.to_end * worth))
    elif drop.following != titles[-1]:
        said += t(", about {to_end} fewer to {titles}", to_end=t.number(missing.to_end), titles=titles[-1])
    return said + t(".")


def _alert_words(context: Context, alert: ActiveAlert) -> str:
    t = context.t
    lasts = t.duration(max(0, context.now - alert.since))
    return t("Alert for {lasts}: {title}.", lasts=lasts, title=alert.title)


def _following(context: Context, following: Sequence[ActiveAlert]) -> Safe | None:
    if not following:
        return None
    t = context.t
    named = t.listed([f"{one.title} ({t.duration(max(0, context.now - one.since))})" for one in following])
    return text(h("br"), h("small", t("What follows from it: {named}.", named=named)))
