"""Where the parts of a running system are, and how to send to it, in lines for a person."""

from __future__ import annotations

import json

from pipeline.demo.system import System
from pipeline.settings import plan_of
from schemas.plan import EventSpec


def send_lines(system: System) -> list[str]:
    """How to send an event to the front door from a shell and from a web page, as lines that can be pasted."""
    url = system.collect.url
    if not system.key:
        return [f"Front door  {url}/v1/events  (sources: {system.settings.collect_sources})"]
    event = min(plan_of(system.settings).events.items(), key=lambda item: _needed(item[1]))[0]
    return [
        f"Front door  {url}/v1/events  (write key {system.key})",
        f"Send one    curl {url}/v1/events -H 'Authorization: Bearer {system.key}' "
        f"-d '{json.dumps({'event': event, 'user_id': 'u1'})}'",
        f"In a page   <script>navigator.sendBeacon('{url}/v1/events?key={system.key}', "
        f"JSON.stringify({{event: {json.dumps(event)}, anonymous_id: 'd1', ts: Date.now()}}))</script>",
        f"Watch       {system.dashboard.url}/events  (each as it comes, and what became of it)",
    ]


def _needed(event: EventSpec) -> int:
    """How many properties an event can't be without."""
    return sum(spec.required for spec in event.properties.values())


def where(system: System) -> list[str]:
    """Where things are, for a person."""
    settings = system.settings
    # Only of our own: a password of somebody's ClickHouse is not for the screen.
    login, curl = "", ""
    if system.clickhouse_users is not None:
        login = f"  (user {settings.clickhouse_user}, password in {system.clickhouse_users})"
        curl = f"-u {settings.clickhouse_user}:{settings.clickhouse_password.get_secret_value()} "
    query = f"SELECT event, count() FROM {settings.clickhouse_database}.events GROUP BY event"
    return [
        f"Dashboard   {system.dashboard.url}",
        f"Kafka       {settings.kafka_bootstrap}  (topic {settings.events_topic})",
        f"ClickHouse  {settings.clickhouse_url}{login}",
        f"Metrics     {system.worker.url}/metrics  (archiver: {system.archiver.url}/metrics)",
        *send_lines(system),
        *filter(None, [system.alerts_note]),
        f"Try         curl {curl}{settings.clickhouse_url} -d '{query}'",
        *system.notes,
    ]
