"""REST, gRPC and the loops of this service."""
