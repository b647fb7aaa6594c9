"""`streamgauge report`: asks, writes the file, sends the headline."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pipeline.clickhouse.questions import Store, StoreError
from pipeline.errors import DependencyError, UserError
from pipeline.render.language import Language
from pipeline.report.document import headline, html
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown
from pipeline.report.model import ReportPeriod
from pipeline.report.send import receiver_of, send
from pipeline.settings import Settings
from schemas.plan import Plan
from schemas.translatable import Foreign

FORMATS: Final = (".html", ".pdf", ".md")
#: Names under which a browser that prints is known.
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PRINT_SECONDS: Final = 60.0


async def report(
    settings: Settings,
    plan: Plan,
    period: ReportPeriod,
    now: datetime,
    language: str,
    out: Path,
    receivers: Sequence[str] = (),
) -> list[str]:
    """Write the report of what is over of `period` at `now` to `out`, in the format of its ending; returns its headline.

    Raises UserError for an ending or a receiver that is none, DependencyError if ClickHouse doesn't answer or a receiver
    was not told.
    """
    if out.suffix not in FORMATS:
        raise UserError("{path}: a report ends in {known}", path=out, known=", ".join(FORMATS))
    for name in receivers:
        receiver_of(plan, name)
    printer = browser() if out.suffix == ".pdf" else ""
    store = Store(settings)
    try:
        facts = await gather(store, plan, period, int(now.timestamp() * 1000))
    except StoreError as exc:
        raise DependencyError("ClickHouse at {url}: {why}", url=settings.clickhouse_url, why=exc.detail) from None
    finally:
        await store.close()
    t = Language(language)
    made_at = now.astimezone(plan.zone).strftime("%Y-%m-%d %H:%M")
    try:
        if out.suffix == ".md":
            await asyncio.to_thread(out.write_text, markdown(t, facts, made_at), "utf-8")
        elif out.suffix == ".html":
            await asyncio.to_thread(out.write_text, html(t, facts, made_at), "utf-8")
        else:
            await print_pdf(printer, html(t, facts, made_at), out)
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=out, why=Foreign(exc.strerror)) from None
    lines = headline(t, facts)
    if receivers:
        await send(plan, list(receivers), lines, out, language)
    return lines


def browser() -> str:
    """The program that prints; raises UserError if there is none."""
    for name in _BROWSERS:
        if found := shutil.which(name):
            return found
    raise UserError("a PDF is printed by chromium, which is not installed: apt-get install chromium, or write .html")


async def print_pdf(program: str, page: str, out: Path) -> None:
    """Print a page that needs no other file. Raises DependencyError if the browser fails."""
    with tempfile.TemporaryDirectory(prefix="streamgauge-report-") as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        await asyncio.to_thread(source.write_text, page, "utf-8")
        process = await asyncio.create_subprocess_exec(
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}", source.as_uri(),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, said = await asyncio.wait_for(process.communicate(), _PRINT_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise DependencyError(
                "{program} did not print within {seconds} s", program=program, seconds=f"{_PRINT_SECONDS:.0f}"
            ) from None
        if process.returncode != 0 or not made.exists():
            last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
            raise DependencyError("{program} could not print: {why}", program=program, why=last[0][:300])
        await asyncio.to_thread(shutil.copyfile, made, out)
