"""OpenTelemetry on request: a record's way from the front door to its row as one trace, and our figures as OTLP
metrics.
"""
