"""The plan's alerts: as rules, as messages, over history, and what fires now."""
