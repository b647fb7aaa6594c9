"""The whole system on one machine: `streamgauge demo` with simulated users, `up` for events of your own."""
