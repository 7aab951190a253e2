"""The SQLAlchemy adapter, the only place that imports SQLAlchemy. Infrastructure layer."""
