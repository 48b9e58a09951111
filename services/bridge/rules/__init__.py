"""The border's decisions: pure functions of states, message and moment."""
