"""Bytes in, accepted or rejected out: validation, duplicates, lateness, routing. No I/O."""
