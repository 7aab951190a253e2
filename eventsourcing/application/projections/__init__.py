"""Application layer: projections, which make tables of your own out of the feed of all events.

May import everything but the interface.
"""
