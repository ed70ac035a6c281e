"""What goes into the log, and what comes back. No I/O."""
