"""Access: who asks, what they may, and how that is decided. Knows nothing of HTTP."""
