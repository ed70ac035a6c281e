"""What the market decides: no I/O, no clock."""
