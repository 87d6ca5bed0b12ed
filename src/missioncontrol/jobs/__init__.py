"""What runs by itself: the daily batch, retention, and runs that somebody asked for."""
