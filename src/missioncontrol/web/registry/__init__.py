"""The registry: measures and dimensions that there are, and forms that declare more."""
