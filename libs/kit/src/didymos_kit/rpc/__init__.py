"""gRPC: one server, one way to call a peer, and errors that survive the way."""
