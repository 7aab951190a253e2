"""Scripts that set up a checkout.

They import the standard library only, because nothing is installed yet when they run.
"""
