"""The web application: API, pages and static files, and the server that joins them with the edge."""
