"""Annotations: notes of people at a time, by API and by the forms on charts."""
