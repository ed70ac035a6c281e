"""Use cases of log and witness, and the ports they need."""
