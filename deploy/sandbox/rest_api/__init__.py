"""A registry with an HTTP interface of its own, in its own words; it has never heard of Kafka."""
