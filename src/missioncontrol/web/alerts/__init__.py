"""Alerts: channels, rules and deliveries, as page and API."""
