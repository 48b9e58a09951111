"""Kinds of outside systems, and what all kinds need to call one."""
