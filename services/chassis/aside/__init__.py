"""Messages that are set aside, and their one way back in."""
