"""A population of simulated users."""
