"""Tools of whoever keeps the contracts: publish them, and hold them compatible."""
