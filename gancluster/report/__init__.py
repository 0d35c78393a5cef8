"""What a run looks like: pictures for people, made from arrays alone."""
