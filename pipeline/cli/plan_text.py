"""What `streamgauge plan` prints: a plan as tables, its mistakes, its JSON Schema."""

from __future__ import annotations

from typing import cast

from rich.table import Table
from rich.text import Text

from pipeline.alerts.texts import words_of
from pipeline.cli.language import speak
from pipeline.errors import UserError
from pipeline.terminal import cell, console, json_text, plain, print_json, say, say_lines
from schemas.duration import format_duration
from schemas.meanings import Meaning
from schemas.models import known_events
from schemas.plan import Plan, PropertySpec, Step
from schemas.plan_io import PlanError, plan_text, problem_at, read_plan
from schemas.translatable import Sentence


def show(plan: Plan, as_json: bool) -> None:
    """Print the plan for a person, or as JSON with every default filled in."""
    if as_json:
        print(json_text(plan.model_dump(mode="json", by_alias=True), indent=2))
        return
    t, out = speak(), console()
    out.print(Text.assemble((plain(plan.product), "bold"), f"  {plain(plan.description)}"))
    say(
        t(
            "time zone {zone}, lateness {lateness}, dedupe {dedupe}, unknown events: {events}, "
            "unknown properties: {properties}",
            zone=plan.timezone,
            lateness=format_duration(plan.lateness),
            dedupe=format_duration(plan.dedupe),
            events=plan.unknown_events,
            properties=plan.unknown_properties,
        )
    )
    say(t("counted live by: {fields}", fields=", ".join(" + ".join(d) for d in plan.dimensions)))
    events = Table(title=t.of("plan", "Events"), title_justify="left")
    events.add_column(t.of("plan", "event"))
    events.add_column(t.of("plan", "properties"))
    events.add_column(t.of("plan", "value"))
    events.add_column(t.of("plan", "description"))
    for name, spec in plan.events.items():
        properties = ", ".join(_property(p, s) for p, s in spec.properties.items())
        role = t(" (registration)") if name == plan.registration else ""
        events.add_row(*map(cell, (name + role, properties, spec.value or "", spec.description)))
    out.print(events)
    for name, funnel in plan.funnels.items():
        out.print(
            Text(t("funnel {name}", name=plain(name)), "bold")
            + Text(f": {plain(' → '.join(step.title for step in funnel.steps))}")
        )
        within = format_duration(funnel.window)
        line = t("within {within}, per {per}, by {bucket}", within=within, per=funnel.per, bucket=funnel.bucket)
        if funnel.breakdown:
            line += t(", broken down by {fields}", fields=", ".join(funnel.breakdown))
        if funnel.modes:
            line += t(", modes {modes}", modes=", ".join(funnel.modes))
        say(f"  {line}")

    for name in type(plan.meanings).model_fields:
        for meaning in getattr(plan.meanings, name) if name != "thresholds" else ():
            fields = ", ".join(f"{column} = {field}" for column, field in _fields(meaning))
            where = t(" where {conditions}", conditions=", ".join(meaning.where)) if meaning.where else ""
            words = t(" is {event}{where}", event=meaning.event, where=where) + (f" ({fields})" if fields else "")
            out.print(Text(plain(name), "bold") + Text(plain(words)))


def _fields(meaning: Meaning | Step) -> list[tuple[str, str]]:
    return list(meaning.fields().items()) if isinstance(meaning, Meaning) else []


def _property(name: str, spec: PropertySpec) -> str:
    return f"{name}: {spec.type}{'!' if spec.required else ''}"


def check(source: str, as_json: bool) -> int:
    """Print every mistake of a plan, and what is surely not meant; returns the exit code: 1 for a mistake."""
    try:
        text = plan_text(source)
        plan, warnings = read_plan(text, source)
        _check_language(plan, text, source)
    except PlanError as exc:
        if as_json:
            print_json({"ok": False, "problems": [vars(p) for p in exc.problems]})
        else:
            say_lines(speak().said(exc).split("\n"))
        return 1
    except OSError as exc:
        raise UserError("the plan can't be read: {why}", why=exc) from None
    counts = {"events": len(plan.events), "funnels": len(plan.funnels)}
    if as_json:
        print_json({"ok": True, **counts, "warnings": [vars(w) for w in warnings]})
        return 0
    t = speak()
    for warning in warnings:
        say(t("{source}: warning: {what}", source=source, what=t.said(warning.said)))
    events, funnels, n = *counts.values(), len(warnings)
    if warnings:
        s = "" if n == 1 else "s"
        say(
            t("{source}: fine ({events} events, {funnels} funnels, {n} warning{s})",
              source=source, events=events, funnels=funnels, n=n, s=s)
        )  # fmt: skip
    else:
        say(t("{source}: fine ({events} events, {funnels} funnels)", source=source, events=events, funnels=funnels))
    return 0


def _check_language(plan: Plan, text: str, source: str) -> None:
    try:
        words_of(plan.alerting.language)
    except UserError as exc:
        raise PlanError(
            source, [problem_at(text, ("alerting", "language"), cast("Sentence", exc.said.values["why"]))]
        ) from None


def export(plan: Plan) -> None:
    """Print the JSON Schema of the plan's events."""
    schema = known_events(plan).json_schema()
    schema["title"] = f"Events of {plan.product}"
    print(json_text({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2))
