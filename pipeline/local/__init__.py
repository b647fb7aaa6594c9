"""The embedded broker and the embedded ClickHouse."""
