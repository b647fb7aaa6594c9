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
_STAGES: Final = {
    "early": ("Early: do people come and find the use of it?", "初期：有没有人来、能不能找到价值"),
    "growth": ("Growth: do they stay?", "成长期：用户留不留得下来"),
    "mature": ("Mature: does it pay?", "成熟期：能不能赚钱"),
}


def section(context: Context) -> Safe:
    """The stage, links to the others, and a tile for each figure."""
    t = context.t
    card = _card(context)
    stage = context.choice("stage", [card.stage, *STAGES])
    others = [
        h("a", t(*_STAGES[name]).split(t(":", "："))[0], href=f"/?{context.with_query(stage=name)}",
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
    head = h("div", h("h2", t("Scorecard", "阶段指标")), h("p", t(*_STAGES[stage]), class_="note"),
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
        said.append(dim(t("nothing to compare with", "没有可对比的数据")))
    else:
        said.append(
            dim(
                h("strong", change(got.now, got.before)),
                " ",
                t(f"was {form(got.before)} {_before(t, name)}", f"{_before(t, name)}为 {form(got.before)}"),
            )
        )
    if target is not None:
        sign = t("at most", "不超过") if figure.less else t("at least", "不低于")
        words = {True: t("met", "达标"), False: t("not met", "未达标"), None: t("target", "目标")}[reached]
        mark = {True: "● ", False: "▲ ", None: ""}[reached]
        said.append(h("span", mark, h("strong", words), t(f": {sign} {form(target)}", f"：{sign} {form(target)}"),
                      class_={True: "good-word", False: "bad-word", None: "dim"}[reached]))  # fmt: skip
    asked = urlencode({"metric": metric.name, **{n: written(v) for n, v in runs[0].items()}})
    return text(
        h("div", form(got.now), class_="value"), *(h("div", one, class_="below") for one in said),
        h("div", h("a", t("The metric", "查看指标"), href=f"/explore?{asked}"), class_="below"),
    )  # fmt: skip


def _card(context: Context) -> Scorecard:
    return context.plan.scorecard or Scorecard()


def _feature(context: Context) -> str:
    return _card(context).feature or key_event(context.plan) or ""


def _label(context: Context, name: str) -> Safe:
    t = context.t
    feature = _feature(context)
    labels = {
        "new_users": (t("New users in 7 days", "近 7 天新增用户"), ""),
        "cac": (t("Cost of a new user (CAC)", "获客成本（CAC）"),
                t("All spend of 28 whole days over all new users of them.", "近 28 个完整日的总花费 / 全部新增用户。")),
        "activation": (t(f"Activation within {ACTIVATION_DAYS} days", f"{ACTIVATION_DAYS} 日激活率"),
                       t("Of those who joined in a week and have had their time.", "统计已满观察期的一周内加入的用户。")),
        "retention": (t(f"Retention on day {RETURN_DAY}", f"{RETURN_DAY} 日留存率"),
                      t("Of those who joined in a week and whose day is over.", "统计一周内加入且该日已结束的用户。")),
        "activity": (t("Activity (DAU / MAU)", "活跃度（DAU / MAU）"),
                     t("Sum of the days' users over the sum of their rolling months', of 7 whole days.", "近 7 个完整日的 DAU 之和 / MAU 之和。")),
        "penetration": (t(f"Penetration of {feature or NONE}", f"{feature or NONE} 渗透率"),
                        t("Within 7 whole days.", "近 7 个完整日。")),
        "arpu": (t("Revenue a user (ARPU)", "人均收入（ARPU）"), t("Of the last whole week.", "最近一个完整周。")),
        "paying_rate": (t("Paying rate", "付费率"), t("Of the last whole week.", "最近一个完整周。")),
        "ltv_cac": (t(f"LTV / CAC, {LIFE_DAYS} days", f"{LIFE_DAYS} 日 LTV / CAC"),
                    t("Of channels with spend, over 28 days whose users have all had their time.", "只计有花费的渠道，取已满观察期的 28 天新增用户。")),
        "nps": (t("Recommendation (NPS)", "净推荐值（NPS）"),
                t("Of the answers of the last 4 whole weeks.", "最近 4 个完整周的回答。")),
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
        return t("in the 4 weeks before", "前 4 周")
    return t("the week before", "前一周")


def _missing(t: Language, name: str) -> str:
    if name in ("cac", "ltv_cac"):
        return t(
            "no spend of these days: `streamgauge import spend`", "这段时间没有花费数据：`streamgauge import spend`"
        )
    if name == "nps":
        return t("no answers to a survey", "没有问卷回答")
    return t("nobody to count yet", "还没有可统计的用户")
