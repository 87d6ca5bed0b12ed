"""The aggregates API, and the predecessor's summary and measure addresses."""
