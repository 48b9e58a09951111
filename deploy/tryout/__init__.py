"""For a first look and for tests: a launcher, a demo, sandbox registries. Nothing here runs in production."""
