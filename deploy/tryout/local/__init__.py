"""The one place that knows the machine: brokers, PostgreSQL and the launcher, for demo, tests and benchmarks."""
