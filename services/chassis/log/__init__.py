"""Kafka's log: clients, the bytes of batches and records, and the offsets of a group."""
