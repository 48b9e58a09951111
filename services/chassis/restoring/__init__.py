"""A restored database: finding out, replaying in the order of deciding, and comparing with what was said."""
