"""The pages: what each shows, the parts that are loaded later, the files that can be downloaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from pipeline.dashboard import bar
from pipeline.dashboard.context import Context, Page, PartOfPage
from pipeline.dashboard.pages import (
    attention,
    behind,
    boards,
    events,
    experiments,
    explore,
    funnels,
    groups,
    keep,
    kept,
    now,
    one_metric,
    paths,
    person,
    plan,
    quality,
    records,
    report,
    retention,
    scorecard,
    today,
)

PAGES: Final = (
    Page("/", "Overview", "总览", now.body),
    Page("/boards", "Boards", "看板", boards.boards),
    Page("/board", "Board", "看板", boards.board, listed=False),
    Page("/keep", "Keep", "收藏", keep.keep, listed=False),
    Page("/kept", "Annotations and alerts", "标注与告警", kept.kept),
    Page("/history", "History", "历史版本", kept.history, listed=False),
    Page("/report", "Report", "日报与周报", report.body),
    Page("/funnels", "Funnels", "漏斗", funnels.body),
    Page("/retention", "Retention", "留存", retention.body),
    Page("/paths", "Paths", "路径", paths.body),
    Page(
        "/acquisition",
        "Acquisition",
        "获客",
        groups.group_page("acquisition", "activation", before=groups.channels_first),
    ),
    Page("/revenue", "Revenue", "收入", groups.group_page("revenue")),
    Page("/experiments", "Experiments", "实验", experiments.experiments),
    Page("/campaigns", "Campaigns", "运营活动", experiments.campaigns),
    Page("/segments", "Segments", "用户分群", groups.group_page("segments", "users_at_risk", "users_to_win_back")),
    Page("/more", "Satisfaction and content", "满意度与内容", groups.group_page("satisfaction", "content")),
    Page("/explore", "Explore", "自助分析", explore.body),
    Page("/people", "People behind a number", "数字背后的用户", behind.body, listed=False),
    Page("/person", "A person", "用户详情", person.body),
    Page("/events", "Events", "实时事件", events.body),
    Page("/quality", "Data quality", "数据质量", quality.body),
    Page("/plan", "Tracking plan", "埋点方案", plan.body),
)

PARTS: Final[dict[str, PartOfPage]] = {
    "hour": now.hour,
    "today": today.curve,
    "recently": today.recently,
    "score": scorecard.score,
    "drops": attention.fallen,
    "report": report.found,
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
    "channels": groups.channels,
    "flows": paths.flows,
    "experiments": experiments.experiment_verdicts,
    "campaigns": experiments.campaign_verdicts,
    "explore": explore.result,
    "people": behind.people,
    "board-chart": boards.chart_part,
    "suggestions": bar.suggestions,
    "events": events.rows,
    "person": person.found,
    "person-who": person.who,
    "person-value": person.value,
    "person-ids": person.devices,
    "person-attributes": person.attributes,
    "person-funnel": person.progress,
    "person-timeline": person.did,
}

#: Name, media type and content of a file.
Download = Callable[[Context], Awaitable[tuple[str, str, bytes]]]
DOWNLOADS: Final[dict[str, Download]] = {
    "metric.csv": one_metric.download,
    "explore.csv": explore.download,
    "people.csv": behind.download,
    "report.html": report.page_file,
    "report.md": report.markdown_file,
    "person.csv": person.events_file,
    "person.json": person.everything_file,
}
#: Pages, parts and downloads about single people: there are none of them where `dashboard_people` is off.
ABOUT_PEOPLE: Final = frozenset(
    name
    for name in (*(page.path for page in PAGES), *PARTS, *DOWNLOADS)
    if name.lstrip("/").startswith(("person", "people"))
)


def fragments(context: Context, page: str) -> dict[str, str]:
    """The live places of a page as {place: HTML}."""
    found: dict[str, str] = {"status": now.head_status(context)}
    if page == "/":
        found |= now.fragments(context)
    elif page == "/quality":
        found |= records.fragments(context)
    elif page == "/funnels":
        found |= funnels.fragments(context)
    return found
