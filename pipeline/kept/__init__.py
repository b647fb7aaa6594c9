"""What people keep: boards of charts, segments, annotations, alerts. Values, and the one file that holds them."""
