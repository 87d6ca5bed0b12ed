"""The collector of crash reports: from a multipart upload to a stored and queued crash."""
