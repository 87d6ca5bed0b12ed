"""Answers from the lake: aggregate queries, SQL by users, and the formats they are written in."""
