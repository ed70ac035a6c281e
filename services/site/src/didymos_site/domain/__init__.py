"""What a site decides by itself: whose data may be used, and what an order asks."""
