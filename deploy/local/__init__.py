"""The one seam between the project and a machine: brokers, PostgreSQL and the launcher, for demo, tests and benchmarks."""
