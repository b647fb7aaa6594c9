"""The report as Markdown, with its charts as embedded pictures. Made from the HTML, so that both say the same."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Final

from pipeline.render.language import Language
from pipeline.report.document import sections, title
from pipeline.report.findings import part_words
from pipeline.report.model import Facts

#: What a chart needs of the style sheet when it stands alone.
_COLOURS: Final = {
    "s1": "#0072b2", "s2": "#c65102", "s3": "#00805c", "s4": "#a8447f", "s5": "#3f8fbf", "s6": "#8a6d00",
}  # fmt: skip
_DASHES: Final = {"s2": "7 3", "s3": "2 3", "s4": "9 3 2 3", "s5": "5 5", "s6": "1 5"}


def markdown(t: Language, facts: Facts, made_at: str) -> str:
    """The whole document."""
    writer = _Writer()
    for section in sections(t, facts):
        writer.feed(_with_pictures(section))
    made = t(f"Made {made_at}.", f"生成于 {made_at}。")
    if facts.period.asked is not None:
        made += f"\n\n**{part_words(t, facts)}**"
    body = re.sub(r"\n{3,}", "\n\n", "".join(writer.out)).strip()
    return f"# {title(t, facts)}\n\n{made}\n\n{body}\n"


def alone(svg: str) -> str:
    """A chart with its colours in it, for where there is no style sheet."""
    rules = ["text{fill:#55626f;font:12px sans-serif}.grid{stroke:#d9dfe5}.line{fill:none;stroke-width:2.2}"]
    for name, colour in _COLOURS.items():
        dash = f";stroke-dasharray:{_DASHES[name]}" if name in _DASHES else ""
        rules.append(f".{name}{{stroke:{colour}{dash}}}.dot.{name}{{fill:{colour};stroke:none}}")
    plain = re.sub(r' data-tips="[^"]*"', "", svg)
    return plain.replace(">", f"><style>{''.join(rules)}</style>", 1)


def _with_pictures(section: str) -> str:
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
