"""The first page: what needs attention, and a card for every platform of every channel."""
