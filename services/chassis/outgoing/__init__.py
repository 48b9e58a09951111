"""The outbox on its way to Kafka, and what was said there before."""
