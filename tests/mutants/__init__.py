"""Changes the code in small ways, one at a time, and finds those that no test notices.

``make mutants`` does it with mutmut, which the table ``[tool.mutmut]`` in ``pyproject.toml`` tells
what to change and which tests to run. mutmut makes the mutants; it would start pytest anew for
each, so they are run in another way. What survived is compared with what ``docs/mutants.md`` gives
a reason for.

============  ======================================================================
`__main__`    has the mutants tested, and compares
`forks`       makes them, and tests each in a fork of one process
`quick`       a plugin of pytest: leaves out tests that take long or need a server
`survivors`   what a mutant is called, and the page
============  ======================================================================
"""
