"""The Faust worker: record batches, partition state, checkpoints."""
