"""Where an address is: country, region and city, from files on this machine.

A MaxMind DB (`.mmdb`: GeoLite2, DB-IP, …) or, for China, one of ip2region (`.xdb`). Needs the extra `collect`. A file
is read whole when it is opened, so that one that is replaced changes nothing until the next start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.errors import UserError

_MAX_LABEL: Final = 256
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ISO: Final = re.compile(r"[A-Z]{2}")
#: ip2region's word for what it doesn't know.
_UNKNOWN: Final = ("0", "", "内网IP", "Reserved")
_CHINA: Final = "中国"

Address = IPv4Address | IPv6Address


class File(Protocol):
    """A file of addresses."""

    def find(self, address: Address) -> dict[str, str]:
        """What it knows of an address: country (two letters where it has them), region, city."""


class Places:
    """Files of addresses, asked in their order; the first that knows an address tells. `language`: of names."""

    def __init__(self, files: Sequence[Path], language: str = "en") -> None:
        self._files: list[File] = [_open(file, language) for file in files]

    def find(self, address: str) -> dict[str, str]:
        """Country, region and city of an address; {} of one that nobody on the internet has, or that isn't known."""
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return {}
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if not parsed.is_global:
            return {}
        for file in self._files:
            if found := file.find(parsed):
                return {name: _CONTROL.sub("", text)[:_MAX_LABEL] for name, text in found.items()}
        return {}


def _open(file: Path, language: str) -> File:
    if not file.is_file():
        raise UserError("{file}: there is no such file of addresses", file=file)
    try:
        if file.suffix == ".xdb":
            return _Xdb(file)
        return _Mmdb(file, language)
    except ImportError:
        raise UserError("places need the extra collect: pip install 'streamgauge[collect]'") from None


class _Mmdb:
    def __init__(self, file: Path, language: str) -> None:
        import maxminddb

        try:
            self._reader = maxminddb.open_database(file, maxminddb.MODE_MEMORY)
        except (maxminddb.InvalidDatabaseError, OSError) as exc:
            raise UserError("{file}: not a MaxMind DB ({why})", file=file, why=exc) from None
        self._v6 = self._reader.metadata().ip_version == 6
        self._language = language

    def find(self, address: Address) -> dict[str, str]:
        if address.version == 6 and not self._v6:
            return {}
        found = _mapping(self._reader.get(address))
        divisions = found.get("subdivisions")
        region = _mapping(divisions[0]) if isinstance(divisions, list) and divisions else {}
        # Some files have the country as text, others a mapping with names.
        country = found.get("country")
        code = country if isinstance(country, str) else _mapping(country).get("iso_code")
        told = {"country": code, "region": self._name(region), "city": self._name(found.get("city"))}
        return {name: value for name, value in told.items() if isinstance(value, str) and value}

    def _name(self, thing: Any) -> Any:
        if isinstance(thing, str):
            return thing
        names = _mapping(_mapping(thing).get("names"))
        return names.get(self._language) or names.get("en")


class _Xdb:
    def __init__(self, file: Path) -> None:
        from ip2region import searcher, util

        content = file.read_bytes()
        try:
            with file.open("rb") as handle:
                util.verify(handle)
            version = util.version_from_header(util.Header(content[: util.HeaderInfoLength]))
        except Exception as exc:  # the library raises plain ones
            raise UserError("{file}: not a file of ip2region ({why})", file=file, why=exc) from None
        if version is None:
            raise UserError("{file}: a version of ip2region's files that isn't known", file=file)
        self._bytes = version.byte_num
        self._searcher = searcher.new_with_buffer(version, content)

    def find(self, address: Address) -> dict[str, str]:
        if len(address.packed) != self._bytes:
            return {}
        return region_of(self._searcher.search(address.packed))


def region_of(text: str) -> dict[str, str]:
    """Country, region and city in one line of ip2region.

    Its lines are `country|region|city|provider|code`, in older files `country|area|region|city|provider`.
    """
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 5:
        return {}
    if _ISO.fullmatch(parts[4]):
        country, region, city = parts[4], parts[1], parts[2]
    else:
        country, region, city = ("CN" if parts[0] == _CHINA else parts[0]), parts[2], parts[3]
    told = {"country": country, "region": region, "city": city}
    return {name: value for name, value in told.items() if value not in _UNKNOWN}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
