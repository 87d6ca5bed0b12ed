"""Alerts: a change of verdict becomes a message, told once, to those who asked for it.

The way through: `intake` (changes, as judging gives them) -> the state database -> `delivery` (messages: retried, held
in quiet hours, counted as sent) -> `webhook` and `mail` (out of this machine). `channels` is what people set up.
"""
