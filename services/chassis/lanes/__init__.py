"""The readers of Kafka: a lane per consumer group, and how far each channel is heard."""
