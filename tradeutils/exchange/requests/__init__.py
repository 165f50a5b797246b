"""How a request leaves and what comes back: connections, clock, budget, retries, and replies nobody believes unread."""
