"""REST and gRPC: parse, dispatch, answer."""
