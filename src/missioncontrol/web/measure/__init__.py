"""The page of a measure: its state, its question, its charts."""
