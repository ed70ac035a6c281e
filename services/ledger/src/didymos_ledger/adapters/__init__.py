"""Files, SQLite and HTTP behind the ports."""
