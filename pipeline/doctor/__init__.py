"""What is wrong with an installation and what to do: facts gathered by a thin edge, judged by pure functions."""
