"""What changed: which step or segment, since when, how surely. Pure: figures in, findings out."""
