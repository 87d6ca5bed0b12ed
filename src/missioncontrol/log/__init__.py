"""The log: what was accepted, in order, durable before the client is answered."""
