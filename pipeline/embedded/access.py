"""Who may do what inside the embedded engine: two roles, neither of which reaches files or the network.

The engine has one user and checks its grants, so a request is run under a role (``SET ROLE``): the *reader* may look at
tables, the *writer* may also make, fill and drop them. Neither has a source (`file`, `url`, `s3`, `remote`, `mysql`,
`executable`, …), and no table engine, dictionary or backup that would need one. What grants don't cover is closed here
too: settings that name files or addresses can't be changed, the function `file` answers with an error, and the
database `default` is a plain one (chDB's own shows every file of the machine as a table).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.whole_file import write_whole

#: What a request runs as.
Role = Literal["reader", "writer"]

_READING: Final = "SELECT, SHOW, CHECK, dictGet"
_GRANTS: Final[dict[str, str]] = {
    "reader": _READING,
    "writer": (
        f"{_READING}, INSERT, ALTER, TRUNCATE, OPTIMIZE, UNDROP TABLE, KILL QUERY, CREATE DATABASE, CREATE TABLE, "
        "CREATE VIEW, CREATE FUNCTION, DROP DATABASE, DROP TABLE, DROP VIEW, DROP FUNCTION, SYSTEM MERGES, "
        "SYSTEM TTL MERGES, SYSTEM FLUSH LOGS, SYSTEM DROP CACHE"
    ),
    # Of the process itself, in sessions that run nothing of a client.
    "keeper": "SELECT, SHOW, DROP DATABASE, KILL QUERY",
}
#: Settings that name a file or an address, or that change what a statement means.
FIXED_SETTINGS: Final = (
    "format_schema", "format_schema_source", "format_template_resultset", "format_template_row",
    "output_format_schema", "input_format_record_errors_file_path", "format_avro_schema_registry_url",
    "rename_files_after_processing", "url_base", "dialect",
)  # fmt: skip
#: What a query that calls `file` is told.
NO_FILES: Final = "the embedded ClickHouse reads no files"
#: chDB's database of the machine's files; it is taken away once the engine is up.
FILES_DATABASE: Final = "_files"

_SYNC: Final = (
    "<merge_tree><fsync_after_insert>1</fsync_after_insert><fsync_part_directory>1</fsync_part_directory>"
    "<min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge></merge_tree>"
)


@contextlib.contextmanager
def configuration(folder: Path, sync: bool = False) -> Iterator[Path]:
    """The engine's configuration file, in `folder`; it is read when the engine starts, and gone after that.

    With `sync` a part of a table is forced to the disk, whether an INSERT made it or a merge.
    """
    with tempfile.TemporaryDirectory(prefix="configuration-", dir=folder) as name:
        users, config = Path(name) / "users.xml", Path(name) / "config.xml"
        users.write_text(_users(), "utf-8")
        config.write_text(
            f"<clickhouse><default_database>{FILES_DATABASE}</default_database>"
            f"<users_config>{users}</users_config>{_SYNC if sync else ''}</clickhouse>",
            "utf-8",
        )
        yield config


def _users() -> str:
    fixed = "".join(f"<{name}><const/></{name}>" for name in FIXED_SETTINGS)
    roles = "".join(
        f"<{role}><grants><query>GRANT {grants} ON *.*</query></grants></{role}>" for role, grants in _GRANTS.items()
    )
    return (
        f"<clickhouse><profiles><default><constraints>{fixed}</constraints></default></profiles>"
        f"<quotas><default/></quotas><roles>{roles}</roles>"
        "<users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
        f"<grants><query>GRANT {', '.join(_GRANTS)}</query></grants></default></users></clickhouse>"
    )


def own_default_database(path: Path) -> None:
    """Make `default` a database of the folder `path` before the engine opens it; its tables stay what they were."""
    metadata = path / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    link, definition = metadata / "default", metadata / "default.sql"
    if not definition.exists():
        name = os.path.basename(os.readlink(link)) if link.is_symlink() else str(uuid.uuid4())
        write_whole(definition, f"ATTACH DATABASE _ UUID '{name}'\nENGINE = Atomic\n")
    # The engine makes it again. Where it finds one, its database of files takes the same id, which can't be.
    link.unlink(missing_ok=True)


def close_files(chdb: Any, keeper: Any) -> None:
    """Take away what would reach files in spite of the grants. Raises RuntimeError of the engine."""
    keeper.query(f"DETACH DATABASE {FILES_DATABASE}", "Null", params={})
    chdb.create_function("file", _no_files, ["String"], "String", on_null="pass", on_error="propagate")


def _no_files(_: str) -> str:
    raise PermissionError(NO_FILES)
