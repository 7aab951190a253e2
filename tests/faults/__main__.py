"""``python -m tests.faults``: see `runner`."""

# A client of multiprocessing imports this file again, so it has next to nothing in it.
if __name__ == "__main__":
    import sys

    from tests.faults.runner import main

    sys.exit(main())
