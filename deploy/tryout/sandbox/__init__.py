"""Small registries, written from the contracts only, as a stranger would write them: for the demo, for tests, and as a
reference."""
