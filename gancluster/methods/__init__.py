"""One file, one method, readable beside its paper."""
