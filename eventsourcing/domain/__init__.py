"""The domain layer: events, entities and aggregates. No I/O; imports ``utils``, ``exceptions``."""
