"""Migrations for a database that holds events beside tables of the application's own."""
