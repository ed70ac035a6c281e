"""REST, gRPC and the consumer of runs."""
