"""Questions to the bridge, and their answers."""
