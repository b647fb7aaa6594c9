"""Where an address is, by files made here."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from pipeline.collect.enrich.additions import Additions
from pipeline.collect.enrich.place import Places, region_of
from pipeline.collect.model import Incoming
from pipeline.errors import UserError

BERLIN = {
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "subdivisions": [{"iso_code": "BE", "names": {"en": "State of Berlin", "zh-CN": "柏林州"}}],
    "city": {"names": {"en": "Berlin", "zh-CN": "柏林"}},
}


@pytest.fixture
def mmdb(tmp_path: Path) -> Path:
    writer = MMDBWriter(ip_version=6, database_type="City", ipv4_compatible=True)
    writer.insert_network(IPSet(["9.9.9.0/24"]), BERLIN)
    writer.insert_network(IPSet(["2620:fe::/48"]), {"country": {"iso_code": "CH"}})
    # DB-IP's and others' plain form.
    writer.insert_network(IPSet(["8.8.8.0/24"]), {"country": "US", "city": "Mountain\nView"})
    file = tmp_path / "city.mmdb"
    writer.to_db_file(str(file))
    return file


def xdb(file: Path, first: str, last: str, text: str) -> Path:
    """A file of ip2region with one range: a header, an index by the first two bytes, the range, its text."""
    low, high = int(IPv4Address(first)), int(IPv4Address(last))
    data = text.encode()
    index = bytearray(256 * 256 * 8)
    start = 256 + len(index)
    index[(low >> 16) * 8 : (low >> 16) * 8 + 8] = struct.pack("<II", start, start)
    head = struct.pack("<HHIIIHH", 3, 1, 1_790_000_000, start, start, 4, 4).ljust(256, b"\0")
    file.write_bytes(head + index + struct.pack("<IIHI", low, high, len(data), start + 14) + data)
    return file


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("9.9.9.9", {"country": "DE", "region": "State of Berlin", "city": "Berlin"}),
        ("::ffff:9.9.9.9", {"country": "DE", "region": "State of Berlin", "city": "Berlin"}),
        ("2620:fe::fe", {"country": "CH"}),
        ("8.8.8.8", {"country": "US", "city": "MountainView"}),
        ("1.1.1.1", {}),
        ("127.0.0.1", {}),
        ("10.0.0.1", {}),
        ("fe80::1%eth0", {}),
        ("", {}),
        ("nonsense", {}),
        ("9.9.9.9, 1.1.1.1", {}),
    ],
)
def test_an_address_in_a_maxmind_db(mmdb: Path, address: str, expected: dict[str, str]) -> None:
    assert Places([mmdb]).find(address) == expected


def test_names_are_in_the_language_that_was_asked_for_where_the_file_has_it(mmdb: Path) -> None:
    assert Places([mmdb], "zh-CN").find("9.9.9.9") == {"country": "DE", "region": "柏林州", "city": "柏林"}
    assert Places([mmdb], "fr").find("9.9.9.9")["city"] == "Berlin"


def test_an_address_in_a_file_of_ip2region_and_after_it_in_another(tmp_path: Path, mmdb: Path) -> None:
    china = xdb(tmp_path / "ip2region.xdb", "114.114.0.0", "114.114.255.255", "中国|江苏省|南京市|电信|CN")
    places = Places([china, mmdb])
    assert places.find("114.114.114.114") == {"country": "CN", "region": "江苏省", "city": "南京市"}
    assert places.find("9.9.9.9")["city"] == "Berlin"
    assert places.find("2620:fe::fe") == {"country": "CH"}
    assert places.find("114.115.1.1") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("中国|江苏省|南京市|电信|CN", {"country": "CN", "region": "江苏省", "city": "南京市"}),
        ("中国|0|江苏省|南京市|电信", {"country": "CN", "region": "江苏省", "city": "南京市"}),
        ("United States|California|0|0|US", {"country": "US", "region": "California"}),
        ("0|0|0|内网IP|内网IP", {}),
        ("", {}),
        ("a|b", {}),
    ],
)
def test_a_line_of_ip2region(text: str, expected: dict[str, str]) -> None:
    assert region_of(text) == expected


@pytest.mark.parametrize("name", ["none.mmdb", "bad.mmdb", "bad.xdb"])
def test_a_file_that_is_none_is_said_at_the_start(tmp_path: Path, name: str) -> None:
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match=name):
        Places([tmp_path / name])


def told(**fields: object) -> Incoming:
    return Incoming({"event": "a", **fields}, address="9.9.9.9", user_agent="Mozilla/5.0 (compatible; Googlebot/2.1)")


def test_what_the_event_says_itself_stays(mmdb: Path) -> None:
    additions = Additions(("channel", "agent", "place"), Places([mmdb]))
    incoming = told(country="CN", channel="poster", properties={"utm_source": "weixin"})
    additions.add(incoming)
    assert incoming.fields == {
        "event": "a",
        "country": "CN",
        "channel": "poster",
        "properties": {"utm_source": "weixin"},
        "bot": "Googlebot",
    }


def test_the_address_is_kept_only_where_the_plan_says_so(mmdb: Path) -> None:
    without, with_it, nothing = told(), told(properties={"x": 1}), told()
    Additions(("place",), Places([mmdb])).add(without)
    Additions(("address",), Places([mmdb])).add(with_it)
    Additions(()).add(nothing)
    place = {"country": "DE", "region": "State of Berlin", "city": "Berlin"}
    assert without.fields == {"event": "a", **place}
    assert with_it.fields == {"event": "a", "properties": {"x": 1, "ip": "9.9.9.9"}}
    assert nothing.fields == {"event": "a"}


def test_nothing_is_added_to_what_is_no_event(mmdb: Path) -> None:
    incoming = told(event="$identify")
    incoming.fields["event"] = "$identify"
    Additions(("channel", "agent", "place", "address"), Places([mmdb])).add(incoming)
    assert incoming.fields == {"event": "$identify"}
