"""The scorecard of the first page: the figures of the product's stage, against the time before and their targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import dim, lazy, term
from pipeline.dashboard.metrics import known, run_metric
from pipeline.insight.scores import ACTIVATION_DAYS, FIGURES, LIFE_DAYS, RETURN_DAY, met
from pipeline.metrics.arguments import written
from pipeline.metrics.by_minute import key_event
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE, Language
from pipeline.render.metric import definition
from schemas.scorecard import SHARES, STAGES, Scorecard

#: Seconds: days that are over change slowly, and nobody waits for them to be counted anew.
_KEEP, _STALE = 600.0, 3600.0
STAGE_NAMES: Final = {
    "early": "Early: do people come and find the use of it?",
    "growth": "Growth: do they stay?",
    "mature": "Mature: does it pay?",
}


def section(context: Context) -> Safe:
    """The stage, links to the others, and a tile for each figure."""
    t = context.t
    card = _card(context)
    stage = context.choice("stage", [card.stage, *STAGES])
    others = [
        h("a", t(STAGE_NAMES[name]).split(t(":"))[0], href=f"/?{context.with_query(stage=name)}",
          aria_current="true" if name == stage else None)
        for name in STAGES
    ]  # fmt: skip
    tiles = [
        h(
            "div",
            h("div", _label(context, name), class_="label"),
            lazy(context, "score", rows=2, of=name),
            class_="tile score",
        )
        for name in STAGES[stage]  # type: ignore[index]
    ]
    head = h("div", h("h2", t("Scorecard")), h("p", t(STAGE_NAMES[stage]), class_="note"),
             h("p", *others, class_="stages"), class_="head")  # fmt: skip
    return h("section", head, h("div", *tiles, class_="tiles"), class_="scorecard")


async def score(context: Context) -> Safe:
    """One figure: now, the time before, and the target. Raises StoreError, UserError."""
    t = context.t
    name = context.choice("of", list(FIGURES))
    figure = FIGURES[name]
    card = _card(context)
    metric = known(figure.metric)
    assert metric is not None
    feature = _feature(context)
    runs = figure.runs(context.today, feature)
    found = [(await run_metric(context, metric, run, keep=_KEEP, stale=_STALE))[0].records() for run in runs]
    got = figure.read(found, context.today, feature)
    form, change = _form(t, name), _change(t, name)
    target = card.targets.get(name)
    reached = met(figure, got.now, target)
    said: list[Safe | str] = []
    if got.now is None:
        said.append(dim(_missing(t, name)))
    elif got.before is None:
        said.append(dim(t("nothing to compare with")))
    else:
        said.append(
            dim(
                h("strong", change(got.now, got.before)),
                " ",
                t("was {before} {name}", before=form(got.before), name=_before(t, name)),
            )
        )
    if target is not None:
        sign = t.of("target", "at most") if figure.less else t.of("target", "at least")
        words = {True: t("met"), False: t("not met"), None: t("target")}[reached]
        mark = {True: "● ", False: "▲ ", None: ""}[reached]
        said.append(h("span", mark, h("strong", words), t(": {sign} {target}", sign=sign, target=form(target)),
                      class_={True: "good-word", False: "bad-word", None: "dim"}[reached]))  # fmt: skip
    asked = urlencode({"metric": metric.name, **{n: written(v) for n, v in runs[0].items()}})
    return text(
        h("div", form(got.now), class_="value"), *(h("div", one, class_="below") for one in said),
        h("div", h("a", t("The metric"), href=f"/explore?{asked}"), class_="below"),
    )  # fmt: skip


def _card(context: Context) -> Scorecard:
    return context.plan.scorecard or Scorecard()


def _feature(context: Context) -> str:
    return _card(context).feature or key_event(context.plan) or ""


def _label(context: Context, name: str) -> Safe:
    t = context.t
    feature = _feature(context)
    labels = {
        "new_users": (t("New users in 7 days"), ""),
        "cac": (t("Cost of a new user (CAC)"),
                t("All spend of 28 whole days over all new users of them.")),
        "activation": (t("Activation within {activation_days} days", activation_days=ACTIVATION_DAYS),
                       t("Of those who joined in a week and have had their time.")),
        "retention": (t("Retention on day {return_day}", return_day=RETURN_DAY),
                      t("Of those who joined in a week and whose day is over.")),
        "activity": (t("Activity (DAU / MAU)"),
                     t("Sum of the days' users over the sum of their rolling months', of 7 whole days.")),
        "penetration": (t("Penetration of {value}", value=feature or NONE),
                        t("Within 7 whole days.")),
        "arpu": (t("Revenue a user (ARPU)"), t("Of the last whole week.")),
        "paying_rate": (t("Paying rate"), t("Of the last whole week.")),
        "ltv_cac": (t("LTV / CAC, {life_days} days", life_days=LIFE_DAYS),
                    t("Of channels with spend, over 28 days whose users have all had their time.")),
        "nps": (t("Recommendation (NPS)"),
                t("Of the answers of the last 4 whole weeks.")),
    }  # fmt: skip
    label, more = labels[name]
    metric = known(FIGURES[name].metric)
    assert metric is not None
    return term(label, "\n".join(filter(None, (more, definition(t, metric)))))


def _form(t: Language, name: str) -> Callable[[float | None], str]:
    if name in SHARES:
        return t.percent
    if name in ("cac", "arpu"):
        return t.money
    return lambda v: t.number(v, 2 if name == "ltv_cac" else 0)


def _change(t: Language, name: str) -> Callable[[float, float], str]:
    if name in SHARES:
        return lambda now, before: t.points(now - before)
    if name == "nps":
        return lambda now, before: f"{'+' if now >= before else '−'}{abs(now - before):.0f}"
    return lambda now, before: t.change((now - before) / before) if before else NONE


def _before(t: Language, name: str) -> str:
    if name in ("cac", "ltv_cac", "nps"):
        return t("in the 4 weeks before")
    return t("the week before")


def _missing(t: Language, name: str) -> str:
    if name in ("cac", "ltv_cac"):
        return t("no spend of these days: `streamgauge import spend`")
    if name == "nps":
        return t("no answers to a survey")
    return t("nobody to count yet")
