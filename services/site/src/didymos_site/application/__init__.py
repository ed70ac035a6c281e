"""What a site does with an order: one use case a file."""
