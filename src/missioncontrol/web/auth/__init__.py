"""Who asks over HTTP: tokens, sessions, signing in and out, and what a route demands of its readers."""
