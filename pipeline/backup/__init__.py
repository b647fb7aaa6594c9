"""Back-ups: what is stored, the worker's state and the end of the log as of one place, and back into an empty
place.
"""
