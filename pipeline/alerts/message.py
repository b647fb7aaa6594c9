"""A message about alerts: what happened, how much, since when, who explains it, what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipeline import terminal
from pipeline.alerts.texts import plain, words_of
from pipeline.insight.contribution import SegmentChange
from schemas.plan import Plan

#: Alerts of one group that a message spells out.
MAX_ALERTS = 10
#: Stands where something was cut, in both languages: a receiver's is not always known.
CUT: Final = "… (cut, 已截断)"
_MAX_LINE_BYTES: Final = 1_500


class Told(BaseModel):
    """One alert of Alertmanager's webhook."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    status: str
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: datetime = Field(alias="startsAt")
    ends_at: datetime | None = Field(default=None, alias="endsAt")

    @property
    def name(self) -> str:
        """The alert's name in the plan."""
        return self.labels.get("alertname", "")


class Notification(BaseModel):
    """What Alertmanager posts to a webhook: a group of alerts."""

    model_config = ConfigDict(extra="ignore")

    status: str
    alerts: list[Told] = Field(min_length=1, max_length=1000)


class Message(NamedTuple):
    """What people read."""

    title: str
    lines: list[str]
    link: str
    link_text: str


def cut(text: str, most: int) -> str:
    """Text of at most so many bytes in UTF-8; what is cut off ends with a word that says so, between two characters."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return text
    return raw[: max(0, most - len(CUT.encode()))].decode("utf-8", "ignore") + CUT


def fitted(message: Message, most: int, size: Callable[[Message], int]) -> Message:
    """The message, without its last lines if it is larger than a receiver takes; it says that they were cut."""
    if size(message) <= most:
        return message
    lines = [cut(line, _MAX_LINE_BYTES) for line in message.lines]
    found = message._replace(title=cut(message.title, 300), lines=lines)
    while size(found) > most and lines:
        lines.pop()
        found = found._replace(lines=[*lines, CUT])
    return found if size(found) <= most else found._replace(link="")


def compose(notification: Notification, plan: Plan, explained: Mapping[str, SegmentChange] | None = None) -> Message:
    """The message. `explained` says, by name of the alert, which segment explains it."""
    words: dict[str, Any] = words_of(plan.alerting.language)
    # What has ended already is part of the group while something else still fires.
    alerts = [a for a in notification.alerts if a.status == notification.status] or notification.alerts
    first = alerts[0]
    severity = words["severity"].get(first.labels.get("severity", ""), "")
    head = words["firing" if notification.status == "firing" else "resolved"]
    if severity and notification.status == "firing":
        head = words["compared"].format(value=head, **{"with": severity})
    title = words["is"].format(title=head, value=first.annotations.get("title", first.name))
    lines = []
    for alert in alerts[:MAX_ALERTS]:
        if alert.status == "firing":
            lines.append(terminal.plain(alert.annotations.get("summary", alert.name)))
        elif "segment" in alert.labels:
            lines.append(terminal.plain(alert.labels["segment"]))
        lines.append(_when(alert, plan, words))
        found = (explained or {}).get(alert.name)
        if found is not None and alert.status == "firing":
            lines.append(_explained(found, alert.name, plan, words))
    if len(alerts) > MAX_ALERTS:
        lines.append(f"+ {len(alerts) - MAX_ALERTS}")
    todo = first.annotations.get("todo")
    if todo and notification.status == "firing":
        lines.append(words["todo"].format(todo=todo))
    return Message(title, lines, first.annotations.get("link", plan.alerting.dashboard), words["more"])


def _when(alert: Told, plan: Plan, words: dict[str, Any]) -> str:
    """In the plan's time zone: the one that its people live by."""
    start = alert.starts_at.astimezone(plan.zone)
    if alert.status == "firing" or alert.ends_at is None:
        return str(words["since"].format(time=f"{start:%Y-%m-%d %H:%M:%S} {start.tzname()}"))
    end = alert.ends_at.astimezone(plan.zone)
    return str(words["lasted"].format(start=f"{start:%Y-%m-%d %H:%M:%S}", end=f"{end:%H:%M:%S} {end.tzname()}"))


def _explained(found: SegmentChange, name: str, plan: Plan, words: dict[str, Any]) -> str:
    alert = plan.alerting.alerts[name]
    return str(
        words["explains"].format(
            share=f"{min(found.explained, 1) * 100:.0f} %",
            segment=terminal.plain(f"{found.dimension} {found.value}"),
            now=plain(alert, found.after),
            then=plain(alert, found.before),
        )
    )
