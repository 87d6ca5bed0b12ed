"""Finding a version, build, signature, crash, measure, application or page by what somebody types."""
