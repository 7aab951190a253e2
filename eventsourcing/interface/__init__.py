"""Interface layer: what is talked to from outside: the command line, HTTP.

May import everything.
"""
