"""The border: which messages of registries are admitted, whom they are about, and how they are told on."""
