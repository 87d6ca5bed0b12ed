"""The page of builds day by day."""
