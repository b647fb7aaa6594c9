"""The `streamgauge` command: arguments in, exit codes out. One module a group of commands."""
