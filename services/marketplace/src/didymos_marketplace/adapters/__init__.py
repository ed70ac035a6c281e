"""SQL tables, protobuf events, the book in the database."""
