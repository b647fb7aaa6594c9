"""Questions that people build: what is asked, its SQL over the facts, and the people behind each number. Pure."""
