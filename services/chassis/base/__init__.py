"""What everything stands on: settings, the database, logs, metrics, HTTP, and the class of an error."""
