"""A registry with an HTTP interface of its own, in its own words. It knows nothing of Kafka."""
