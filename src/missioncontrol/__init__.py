"""Mission Control: release health from telemetry pings and crash reports."""

__version__ = "0.1.0"
