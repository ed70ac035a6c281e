"""Where bytes, rows and messages become values, and back."""
