"""What is served live: metrics and health."""
