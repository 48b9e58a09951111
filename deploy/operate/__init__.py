"""What operators use: topics, registries, publishing, backups, and errors that say what to do."""
