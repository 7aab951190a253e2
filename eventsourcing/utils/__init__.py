"""Leaf modules. They import the standard library, small dependencies, and ``exceptions``."""
