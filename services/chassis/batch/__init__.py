"""The engine room: one batch of records becomes rows and messages in one transaction."""
