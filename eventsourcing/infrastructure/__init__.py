"""The infrastructure layer: from events to rows and back. Imports the domain layer."""
