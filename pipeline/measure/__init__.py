"""Pure folds of accepted events into windows, activity and funnels. No I/O, no clock."""
