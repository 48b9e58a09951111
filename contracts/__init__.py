"""Everything one party may know of another: envelope, messages, topics."""
