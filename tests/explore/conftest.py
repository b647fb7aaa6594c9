"""One ClickHouse for the tests of this folder, and in it the catalogue of one plan that the tests fill in turn."""

from __future__ import annotations

from metrics.world import worlds

server, opened, world = worlds("package")
