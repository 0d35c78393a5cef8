"""A run: asked for, played and kept, judged, found again and compared."""
