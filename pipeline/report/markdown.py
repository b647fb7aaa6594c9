"""The report as Markdown, with its charts as embedded pictures. Made from the HTML, so that both say the same."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

from pipeline.render.language import Language
from pipeline.render.svg import alone
from pipeline.report.document import sections, title
from pipeline.report.findings import part_words
from pipeline.report.model import Facts


def markdown(t: Language, facts: Facts, made_at: str) -> str:
    """The whole document."""
    writer = _Writer()
    for section in sections(t, facts):
        writer.feed(_with_pictures(section))
    made = t("Made {made_at}.", made_at=made_at)
    if facts.period.asked is not None:
        made += f"\n\n**{part_words(t, facts)}**"
    body = re.sub(r"\n{3,}", "\n\n", "".join(writer.out)).strip()
    return f"# {title(t, facts)}\n\n{made}\n\n{body}\n"


def _with_pictures(section: str) -> str:
    # A chart that is there for two screens is told once.
    section = re.sub(r'<div class="narrow">.*?</div>', "", section, flags=re.S)
    section = re.sub(r'<ul class="legend">.*?</ul>', _legend, section, flags=re.S)

    def picture(match: re.Match[str]) -> str:
        name = re.search(r'aria-label="([^"]*)"', match[0])
        data = base64.b64encode(alone(match[0]).encode()).decode()
        return f'<img alt="{name[1] if name else ""}" src="data:image/svg+xml;base64,{data}">'

    return re.sub(r"<svg.*?</svg>", picture, section, flags=re.S)


def _legend(match: re.Match[str]) -> str:
    names = re.findall(r"</svg>(.*?)</li>", match[0])
    dashes = ("——", "– –", "· · ·", "—·—", "- -", ". .")
    return "<p>" + "; ".join(f"{dash} {name}" for dash, name in zip(dashes, names, strict=False)) + "</p>"


class _Writer(HTMLParser):
    """Turns the few elements that a report is made of into Markdown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._heads = 0
        self._list: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "h2":
            self.out.append("\n\n## ")
        elif tag in ("p", "figcaption"):
            self._add("\n\n" if self._cell is None and not self._list else " ")
        elif tag in ("ol", "ul"):
            self._list.append("1." if tag == "ol" else "-")
            self.out.append("\n\n")
        elif tag == "li":
            self.out.append(f"\n{self._list[-1] if self._list else '-'} ")
        elif tag == "strong":
            self._add("**")
        elif tag == "code":
            self._add("`")
        elif tag == "img":
            self._add(f"\n\n![{found.get('alt')}]({found.get('src')})\n\n")
        elif tag == "table":
            self.out.append("\n\n")
        elif tag == "tr":
            self._row = []
        elif tag in ("td", "th"):
            self._cell = []
            self._heads += tag == "th"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._row is not None and self._cell is not None:
            self._row.append("".join(self._cell).strip().replace("|", "\\|"))
            self._cell = None
        elif tag == "tr" and self._row is not None:
            self.out.append("| " + " | ".join(self._row) + " |\n")
            self._row = None
        elif tag == "thead":
            self.out.append("|" + " --- |" * self._heads + "\n")
            self._heads = 0
        elif tag in ("ol", "ul"):
            self._list.pop()
            self.out.append("\n\n")
        elif tag == "strong":
            self._add("**")
        elif tag == "code":
            self._add("`")

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, text: str) -> None:
        (self.out if self._cell is None else self._cell).append(text)
