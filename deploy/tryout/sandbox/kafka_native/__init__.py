"""A registry whose platform speaks Kafka itself."""
