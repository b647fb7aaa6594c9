"""What may be sent: the event envelope and the tracking plan. Pydantic only, no I/O but reading a plan."""
