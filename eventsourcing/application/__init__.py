"""The application layer: puts domain and infrastructure together. Imports both."""
