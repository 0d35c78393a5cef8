"""gancluster: adversarial clustering methods, described as games, played by one engine, measured honestly."""

__version__ = "0.1.0"
