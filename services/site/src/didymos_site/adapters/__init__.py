"""Where bytes, files, rows and calls become values, and back."""
