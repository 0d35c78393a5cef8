"""Networks by input shape, from layers that are pure: no running statistics, no randomness of their own."""
