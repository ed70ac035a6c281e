"""Use cases of the market, and the ports they need."""
