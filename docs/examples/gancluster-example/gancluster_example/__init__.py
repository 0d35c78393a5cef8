"""What this package adds to gancluster, one file each; `pyproject.toml` says where to find it."""
