"""The plan's alerts: as Prometheus rules, as an Alertmanager configuration, and over history."""
