"""The engine plays games: it alone knows optimiser states, loops, devices and checkpoints."""
