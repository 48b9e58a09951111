"""The operators' part of the bridge: what moves, what is paused, and what they settle by hand."""
