"""Measurements and faults on real Kafka, each with a command of its own."""
