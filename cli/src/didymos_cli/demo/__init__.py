"""`didymos demo`: the main job on real data, every step as its user would do it, over REST, gRPC and processes."""
