"""Sortie, a self-hosted launcher portal."""
