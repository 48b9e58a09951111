"""Links and consent: what registries say of them, and what follows for transfers. Pure."""
