"""ClickHouse: client, migrations, archiver, publisher of live windows, verification."""
