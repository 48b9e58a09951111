"""Backups of single databases while everything runs, and their restoration beside the present database."""
