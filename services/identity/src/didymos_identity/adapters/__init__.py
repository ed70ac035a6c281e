"""Between bytes or rows and values: SQL, protobuf, signed statements."""
