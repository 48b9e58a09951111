"""The demo: a hand-written weekend and a summer of generated people, on a whole linkage on this machine."""
