"""The command line: one file a verb; it parses, calls, prints, and holds no logic."""
