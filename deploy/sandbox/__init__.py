"""Small registries as strangers would write them, from the contracts only: demo, test double and reference."""
