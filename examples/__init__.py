"""Small complete programs. Each is run by ``tests/examples``."""
