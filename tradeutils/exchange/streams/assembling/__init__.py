"""From what a venue pushes, and what it answers when asked, to values that are complete, in order and told once."""
