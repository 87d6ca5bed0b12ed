"""An embedded installation moved to Kafka, S3 and PostgreSQL, without loss, and as often as it takes."""
