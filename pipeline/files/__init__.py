"""Events and side tables in files: reading, mapping, checking, sending, importing."""
