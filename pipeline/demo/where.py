"""Where the parts of a running system are, and how to send to it, in lines for a person."""

from __future__ import annotations

import json

from pipeline.demo.system import System
from pipeline.render.language import Language
from pipeline.settings import plan_of
from pipeline.terminal import padded
from schemas.plan import EventSpec


def send_lines(t: Language, system: System) -> list[str]:
    """How to send an event to the front door from a shell and from a web page, as lines that can be pasted."""
    url = system.collect.url
    if not system.key:
        sources = t("(sources: {file})", file=system.settings.collect_sources)
        return [_line(t("Front door"), f"{url}/v1/events  {sources}")]
    event = min(plan_of(system.settings).events.items(), key=lambda item: _needed(item[1]))[0]
    curl = (
        f"curl {url}/v1/events -H 'Authorization: Bearer {system.key}' "
        f"-d '{json.dumps({'event': event, 'user_id': 'u1'})}'"
    )
    beacon = (
        f"<script>navigator.sendBeacon('{url}/v1/events?key={system.key}', "
        f"JSON.stringify({{event: {json.dumps(event)}, anonymous_id: 'd1', ts: Date.now()}}))</script>"
    )
    return [
        _line(t("Front door"), f"{url}/v1/events  {t('(write key {key})', key=system.key)}"),
        _line(t("Send one"), curl),
        _line(t("In a page"), beacon),
        _line(t("Watch"), f"{system.dashboard.url}/events  {t('(each as it comes, and what became of it)')}"),
    ]


def _line(label: str, text: str) -> str:
    return f"{padded(label, 12)}{text}"


def _needed(event: EventSpec) -> int:
    """How many properties an event can't be without."""
    return sum(spec.required for spec in event.properties.values())


def where(t: Language, system: System) -> list[str]:
    """Where things are, for a person."""
    settings = system.settings
    # Only of our own: a password of somebody's ClickHouse is not for the screen.
    login, curl = "", ""
    if (ours := system.servers.clickhouse) is not None:
        login = "  " + t("(user {user}, password in {file})", user=settings.clickhouse_user, file=ours.users_file)
        curl = f"-u {settings.clickhouse_user}:{settings.clickhouse_password.get_secret_value()} "
    query = f"SELECT event, count() FROM {settings.clickhouse_database}.events GROUP BY event"
    return [
        _line(t("Dashboard"), system.dashboard.url),
        _line("Kafka", f"{settings.kafka_bootstrap}  {t('(topic {topic})', topic=settings.events_topic)}"),
        _line("ClickHouse", f"{settings.clickhouse_url}{login}"),
        _line(
            t("Metrics"), f"{system.worker.url}/metrics  {t('(archiver: {url})', url=f'{system.archiver.url}/metrics')}"
        ),
        *send_lines(t, system),
        *([_line(t("Alerts"), t.said(system.alerting.note))] if system.alerting.note is not None else []),
        _line(t("Try"), f"curl {curl}{settings.clickhouse_url} -d '{query}'"),
        *map(t.said, system.listening.notes),
    ]
