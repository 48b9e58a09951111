"""The jobs of compose.yaml that prepare secrets and databases."""
