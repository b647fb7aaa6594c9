"""The options that say how a file is read: the same for `send`, `check`, `replay` and `import`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.files.reader import Reading
    from schemas.plan import Plan

FILE_HELP = "CSV or JSON (lines, a list, indented); .gz, .zip, .zst, .bz2, .xz too; - for standard input."
FileArgument = Annotated[str, typer.Argument(help=FILE_HELP)]
MapOption = Annotated[
    str | None, typer.Option("--map", help="Which columns are which: user_id=uid,event=name,ts=time,...")
]
DropOption = Annotated[bool, typer.Option("--drop", help="Leave out the columns that --map does not name.")]
ZoneOption = Annotated[
    str | None, typer.Option("--tz", help="Zone of times that have none, like Europe/Berlin; else UTC.")
]
TimeFormatOption = Annotated[
    str | None, typer.Option("--time-format", help="How times are written, like '%d.%m.%Y %H:%M'.")
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Encoding of the text, where it is not UTF-8: latin-1, cp1252, gbk, utf-16, ...")
]
SeparatorOption = Annotated[
    str | None, typer.Option(help="What separates the cells of CSV, if it is not seen: one character, or tab.")
]
DecimalOption = Annotated[
    str | None, typer.Option(help="The decimal mark of numbers in CSV, where 1,299 may be two: . or ,")
]


def reading(
    plan: Plan | None,
    *,
    mapping: str | None = None,
    drop: bool = False,
    tz: str | None = None,
    time_format: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
) -> Reading:
    """How a file is to be read, as the options say. Raises UserError."""
    from pipeline.files.detect import Given, separator_of, text_encoding
    from pipeline.files.mapping import parse_mapping
    from pipeline.files.reader import Reading, zone_of
    from pipeline.files.times import time_format_of

    if decimal not in (None, ".", ","):
        raise UserError("--decimal {given}: give . or ,", given=repr(decimal))
    return Reading(
        mapping=parse_mapping(mapping, drop=drop) if mapping or drop else None,
        zone=None if tz is None else zone_of(tz),
        plan=plan,
        given=Given(
            None if encoding is None else text_encoding(encoding),
            None if separator is None else separator_of(separator),
        ),
        decimal=decimal,
        time_format=None if time_format is None else time_format_of(time_format),
    )
