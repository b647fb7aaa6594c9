"""The SQL of Streamgauge: migrations of ClickHouse's schema. A package so that it is installed with the rest."""
