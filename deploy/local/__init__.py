"""The one seam to a machine: brokers, PostgreSQL and the launcher, for demo, tests and benchmarks alike."""
