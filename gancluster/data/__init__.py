"""Data sets: what they are (dataset.py), where they come from (catalogue.py is the one door), how batches leave."""
