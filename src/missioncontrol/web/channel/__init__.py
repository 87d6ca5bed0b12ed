"""The page of a channel: measures by version, and what differs among its users."""
