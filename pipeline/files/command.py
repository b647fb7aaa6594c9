"""The commands `streamgauge send` and `streamgauge check`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime

from pipeline.files.check import Check, Problem, Summary
from pipeline.files.packing import open_bytes, title
from pipeline.files.preview import Preview
from pipeline.files.reader import BadLineError, Reading, open_file, read_events, records
from pipeline.ingest.sent import Sent
from pipeline.progress import progress_bar
from pipeline.settings import Settings
from pipeline.terminal import print_json, say
from schemas.plan import Plan
from schemas.translatable import ENGLISH, Foreign, Sentence, Speech

#: Problems that are printed; all are counted.
_MAX_SHOWN = 100


async def send_files(
    settings: Settings, files: Sequence[str], reading: Reading, rate: float | None, as_json: bool, *,
    skip_bad: bool = False, t: Speech = ENGLISH,
) -> int:  # fmt: skip
    """Send the events of files, one after the other; 1 if the broker refused some or lines were left out, else 0.

    A line that is no event ends it, with what came before sent, unless `skip_bad`. A file that can't be read is said
    before anything is sent. Raises UserError and DependencyError.
    """
    # A client of Kafka, which `check` does without.
    from pipeline.files.sender import Sending, in_thread, send

    bad = 0

    def skip(problem: BadLineError) -> None:
        nonlocal bad
        bad += 1
        if bad <= _MAX_SHOWN:
            say(t.said(problem), file=sys.stderr)

    for file in files:
        if file != "-":
            with open_file(file, reading.given):
                pass
    total = Sending()
    for file in files:
        lines = read_events(file, reading, on_bad=skip if skip_bad else None)
        found = (Sent(0, line.key, line.value) for line in lines)
        with progress_bar(t("sending {file}", file=t.said(title(file))), _lines_of(file)) as show:
            result = await send(
                in_thread(found) if file == "-" else found,
                kafka=settings.kafka_kwargs(),
                topic=settings.events_topic,
                rate=rate,
                progress=None if show is None else lambda state, show=show: show(state.sent),  # type: ignore[misc]
            )
        total = Sending(
            total.sent + result.sent, total.failed + result.failed, total.first_error or result.first_error,
            total.seconds + result.seconds,
        )  # fmt: skip
    if as_json:
        print_json({**asdict(total), "bad_lines": bad, "topic": settings.events_topic, "files": list(files)})
    else:
        speed = total.sent / max(total.seconds, 1e-3)
        of = t(" of {files} files", files=len(files)) if len(files) > 1 else ""
        say(t("{events} events{of} sent to {topic} in {seconds} s ({speed}/s)", events=f"{total.sent:,}", of=of,
              topic=settings.events_topic, seconds=f"{total.seconds:.1f}", speed=f"{speed:,.0f}"))  # fmt: skip
        if bad:
            say(t("{n} lines were left out: they are no events", n=f"{bad:,}"))
        if total.failed:
            failed, why = f"{total.failed:,}", total.first_error
            say(t("{n} were refused by the broker, the first because: {why}", n=failed, why=why))
    return 1 if total.failed or bad else 0


def _lines_of(file: str) -> int | None:
    """How many lines a progress bar is about; None where nobody looks or knows."""
    if file == "-" or not sys.stderr.isatty():
        return None
    count = 0
    with open_bytes(file) as (stream, _):
        while data := stream.read(1 << 20):
            count += data.count(b"\n")
    return count or None


def preview_files(plan: Plan, files: Sequence[str], reading: Reading, as_json: bool, t: Speech = ENGLISH) -> int:
    """Say what `send` would make of files, column by column, and send nothing; 1 if something is wrong, else 0."""
    code = 0
    for file in files:
        found = Preview()
        with open_file(file, reading.given) as opened:
            found.read(opened, reading, plan, _MAX_SHOWN)
            words = opened.words()
        if found.bad or found.rejected:
            code = 1
        if as_json:
            print_json(
                {"file": file, "is": words, "events": found.events, "accepted": found.events - found.rejected,
                 "rejected": dict(found.reasons), "bad_lines": found.bad, "names": dict(found.names),
                 "columns": found.columns.document(), "problems": [str(problem) for problem in found.problems]}
            )  # fmt: skip
            continue
        say(t.said(Sentence("{file}: {words}", file=title(file), words=words)))
        for line in found.columns.lines(t):
            say(line)
        for problem in found.problems:
            say(t.said(problem))
        good, wrong = f"{found.events - found.rejected:,}", f"{found.rejected:,}"
        counts = t(" ({counts})", counts=_counts(found.reasons, t)) if found.reasons else ""
        say(t("{events} events would be sent: {good} as the plan says, {wrong} to be rejected{counts}",
              events=f"{found.events:,}", good=good, wrong=wrong, counts=counts))  # fmt: skip
        if found.bad:
            say(t("{n} lines are no events", n=f"{found.bad:,}"))
    return code


def check_file(plan: Plan, file: str, as_json: bool, reading: Reading | None = None, t: Speech = ENGLISH) -> int:
    """Print what is wrong in which line of a file; 0 if nothing is.

    JSON is judged as it is, as a producer's records would be; CSV, and a file that is to be changed, as it is sent.
    """
    reading = reading or Reading(plan=plan)
    check = Check(plan, now_ms=int(time.time() * 1000))
    shown = 0

    def show(line: int, where: Sentence, reason: str, detail: Sentence | Foreign) -> None:
        nonlocal shown
        shown += 1
        if as_json:
            print_json(Problem(line, reason, detail)._asdict())
        elif shown <= _MAX_SHOWN:
            why = Sentence("{place}: {why}", place=reason, why=detail)
            say(t.said(Sentence("{place}: {why}", place=where, why=why)))
        elif shown == _MAX_SHOWN + 1:
            say(t("... more than {n} problems: only counted from here on", n=_MAX_SHOWN))

    def bad(problem: BadLineError) -> None:
        check.summary.lines += 1
        check.summary.reasons["bad_line"] += 1
        show(problem.number, problem.where, "bad_line", problem.problem)

    with open_file(file, reading.given) as opened:
        for problem in check.problems(records(opened, reading, bad)):
            show(problem.line, opened.where(problem.line), problem.reason, Foreign(problem.detail))
        words = opened.words()
    summary = check.summary
    if as_json:
        print_json({"summary": {f.name: getattr(summary, f.name) for f in fields(summary)}})
    else:
        for text in _summary_lines(summary, words, t):
            say(text)
    return 0 if summary.valid == summary.lines else 1


def _summary_lines(summary: Summary, words: Sentence, t: Speech) -> Iterator[str]:
    seen_as = "" if words == "JSON lines" else t(" ({words})", words=t.said(words))
    lines, valid, wrong = f"{summary.lines:,}", f"{summary.valid:,}", f"{summary.lines - summary.valid:,}"
    yield t(
        "{lines} lines{seen_as}: {valid} valid, {wrong} not", lines=lines, seen_as=seen_as, valid=valid, wrong=wrong
    )
    if summary.reasons:
        yield "  " + t("rejected: {counts}", counts=_counts(dict(summary.reasons.most_common()), t))
    if summary.events:
        yield "  " + t("events: {counts}", counts=_counts(dict(summary.events.most_common()), t))
        first, last = (
            f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" for ms in (summary.first_ts, summary.last_ts)
        )
        yield "  " + t("from {first} to {last} UTC", first=first, last=last)


def _counts(counts: dict[str, int], t: Speech) -> str:
    return t(", ").join(t("{n} {name}", n=f"{count:,}", name=name) for name, count in counts.items())
