"""The pages: what each shows, the parts that are loaded later, the files that can be downloaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from pipeline.dashboard import bar
from pipeline.dashboard.context import Context, Page, PartOfPage
from pipeline.dashboard.pages import (
    behind,
    drops,
    events,
    experiments,
    explore,
    funnels,
    groups,
    now,
    one_metric,
    paths,
    plan,
    quality,
    retention,
)

PAGES: Final = (
    Page("/", "Now", "现在", now.body),
    Page("/funnels", "Funnels", "漏斗", funnels.body),
    Page("/retention", "Retention", "留存", retention.body),
    Page("/paths", "Paths", "路径", paths.body),
    Page("/acquisition", "Acquisition", "获客", groups.group_page("acquisition", "activation")),
    Page("/revenue", "Revenue", "收入", groups.group_page("revenue")),
    Page("/experiments", "Experiments", "实验", experiments.experiments),
    Page("/campaigns", "Campaigns", "运营活动", experiments.campaigns),
    Page("/segments", "Segments", "用户分群", groups.group_page("segments", "users_at_risk", "users_to_win_back")),
    Page("/more", "Satisfaction and content", "满意度与内容", groups.group_page("satisfaction", "content")),
    Page("/explore", "Explore", "自助分析", explore.body),
    Page("/people", "People behind a number", "数字背后的用户", behind.body, listed=False),
    Page("/events", "Events", "实时事件", events.body),
    Page("/quality", "Data quality", "数据质量", quality.body),
    Page("/plan", "Tracking plan", "埋点方案", plan.body),
)

PARTS: Final[dict[str, PartOfPage]] = {
    "hour": now.hour,
    "yesterday": now.yesterday,
    "drops": drops.drops,
    "funnel": funnels.past,
    "funnel-days": funnels.days,
    "funnel-by": funnels.by_value,
    "quality-days": quality.days,
    "quality-reasons": quality.reasons,
    "quality-unknown": quality.unknown,
    "quality-producers": quality.producers,
    "quality-links": quality.links,
    "plan": plan.seen,
    "metric": groups.one,
    "flows": paths.flows,
    "experiments": experiments.experiment_verdicts,
    "campaigns": experiments.campaign_verdicts,
    "explore": explore.result,
    "people": behind.people,
    "suggestions": bar.suggestions,
    "events": events.rows,
}

#: Name, media type and content of a file.
Download = Callable[[Context], Awaitable[tuple[str, str, bytes]]]
DOWNLOADS: Final[dict[str, Download]] = {
    "metric.csv": one_metric.download,
    "explore.csv": explore.download,
    "people.csv": behind.download,
}


def fragments(context: Context, page: str) -> dict[str, str]:
    """The live places of a page as {place: HTML}."""
    found: dict[str, str] = {"status": now.head_status(context)}
    if page == "/":
        found |= now.fragments(context)
    elif page == "/funnels":
        found |= funnels.fragments(context)
    return found
