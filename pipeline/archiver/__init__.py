"""The archiver: every record of the events topic into ClickHouse, once."""
