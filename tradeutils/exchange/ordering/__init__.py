"""What an order goes through: checks, ids, doubts, turns, and its cancellation."""
