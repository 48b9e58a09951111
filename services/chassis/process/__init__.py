"""A service as a process: start, health, orderly stop, and its commands."""
