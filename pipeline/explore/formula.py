"""Formulas of series: `A / B`, `(A - B) / A %`: letters, numbers, + - * / and brackets. `%` at its end: a share."""

from __future__ import annotations

import re
from typing import Final

from pipeline.errors import UserError
from schemas.names import shown

MAX_FORMULA: Final = 100
LETTERS: Final = "ABCDEF"
_TOKEN: Final = re.compile(r"\s*(?:(\d{1,15}(?:\.\d{1,15})?)|([A-F])|([-+*/()]))")


def is_percent(formula: str) -> bool:
    """Whether its value is shown as a share."""
    return formula.rstrip().endswith("%")


def formula_sql(formula: str, series: int) -> str:
    """The formula over the columns A, B, … of so many series; NULL where it divides by zero. Raises UserError."""
    if len(formula) > MAX_FORMULA:
        raise UserError("a formula has at most {most} characters", most=MAX_FORMULA)
    tokens = _tokens(formula, series)
    found, rest = _sum(tokens, 0)
    if rest != len(tokens):
        raise UserError(
            "the formula {formula} can't be read from {rest} on: write it like A / B",
            formula=shown(formula), rest=shown(tokens[rest]),
        )  # fmt: skip
    return found


def _tokens(formula: str, series: int) -> list[str]:
    text, found, at = formula.strip().removesuffix("%").rstrip(), [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UserError(
                "the formula {formula} has {odd}: it takes the letters of the series, numbers, + - * / and brackets",
                formula=shown(formula), odd=shown(text[at:][:10]),
            )  # fmt: skip
        if match[2] and LETTERS.index(match[2]) >= series:
            raise UserError(
                "the formula {formula} has {letter}, and there is no series {letter}",
                formula=shown(formula), letter=match[2],
            )  # fmt: skip
        found.append(match[0].strip())
        at = match.end()
    return found


def _sum(tokens: list[str], at: int) -> tuple[str, int]:
    left, at = _product(tokens, at)
    while at < len(tokens) and tokens[at] in "+-":
        right, after = _product(tokens, at + 1)
        left, at = f"({left} {tokens[at]} {right})", after
    return left, at


def _product(tokens: list[str], at: int) -> tuple[str, int]:
    left, at = _one(tokens, at)
    while at < len(tokens) and tokens[at] in "*/":
        right, after = _one(tokens, at + 1)
        left = f"({left} / nullIf({right}, 0))" if tokens[at] == "/" else f"({left} * {right})"
        at = after
    return left, at


def _one(tokens: list[str], at: int) -> tuple[str, int]:
    if at >= len(tokens):
        raise UserError("the formula ends where a letter or a number should stand: write it like A / B")
    this = tokens[at]
    if this == "-":
        found, after = _one(tokens, at + 1)
        return f"(-{found})", after
    if this == "(":
        found, after = _sum(tokens, at + 1)
        if after >= len(tokens) or tokens[after] != ")":
            raise UserError("a bracket of the formula is not closed")
        return found, after + 1
    if this in "+*/)":
        raise UserError(
            "the formula has {this} where a letter or a number should stand: write it like A / B", this=this
        )
    return f"toFloat64({this})", at + 1
