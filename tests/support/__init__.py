"""What tests share: backends, waiting, and helpers by subject."""
