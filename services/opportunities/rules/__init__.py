"""Who gets which post: pure decisions over projects, shifts and sign-ups."""
