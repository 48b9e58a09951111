"""The operator's page of a linkage: what moves, what waits and why; releases what was set aside, pauses a registry.

It has no database and no rights of its own: everything is asked of the services' APIs with the token of the operator
who signed in, which is kept in memory while she is.
"""
