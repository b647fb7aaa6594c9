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
    campaigns,
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
    Page("/", "Overview", now.body),
    Page("/boards", "Boards", boards.boards),
    Page("/board", "Board", boards.board, listed=False),
    Page("/keep", "Keep", keep.keep, listed=False),
    Page("/kept", "Annotations and alerts", kept.kept),
    Page("/history", "History", kept.history, listed=False),
    Page("/report", "Report", report.body),
    Page("/funnels", "Funnels", funnels.body),
    Page("/retention", "Retention", retention.body),
    Page("/paths", "Paths", paths.body),
    Page(
        "/acquisition",
        "Acquisition",
        groups.group_page("acquisition", "activation", before=groups.channels_first),
    ),
    Page("/revenue", "Revenue", groups.group_page("revenue")),
    Page("/experiments", "Experiments", experiments.body),
    Page("/campaigns", "Campaigns", campaigns.body),
    Page("/segments", "Segments", groups.group_page("segments", "users_at_risk", "users_to_win_back")),
    Page("/more", "Satisfaction and content", groups.group_page("satisfaction", "content")),
    Page("/explore", "Explore", explore.body),
    Page("/people", "People behind a number", behind.body, listed=False),
    Page("/person", "A person", person.body),
    Page("/events", "Events", events.body),
    Page("/quality", "Data quality", quality.body),
    Page("/plan", "Tracking plan", plan.body),
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
    "experiments": experiments.verdicts,
    "campaigns": campaigns.verdicts,
    "campaign-pairs": campaigns.pairs,
    "explore": explore.result,
    "people": behind.people,
    "people-list": behind.listed,
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
