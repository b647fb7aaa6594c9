"""Trying a plan without a broker: a file of events through the worker's own folds, or through ClickHouse's SQL."""
