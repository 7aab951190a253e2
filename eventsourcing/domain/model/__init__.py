"""Building blocks of a domain model. Part of the domain layer."""
