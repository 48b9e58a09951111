"""Work that a service begins by itself, when it is due."""
