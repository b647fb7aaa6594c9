"""The worker: Faust, record batches, checkpoints into the changelog, live rows into ClickHouse."""
