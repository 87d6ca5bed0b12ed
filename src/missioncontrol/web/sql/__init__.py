"""The SQL page: queries, saved ones, history, and what runs."""
