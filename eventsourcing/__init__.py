"""Event sourcing in Python.

Layers, each of which imports only from those to its left::

    exceptions, utils  <-  domain  <-  infrastructure  <-  application  <-  interface
"""
