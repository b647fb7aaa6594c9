"""The SQL of what the folds count: funnels, activity, conditions, and the comparison of both."""
