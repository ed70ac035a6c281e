"""The line to the coordinator, and the command line."""
