"""What is added to an event where it does not say it itself."""
