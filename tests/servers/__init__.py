"""Throw-away PostgreSQL and MariaDB servers on free loopback ports, for the tests.

`locate` finds the programs or fetches them, `process` starts, stops and kills one server and
`guard` outlives the test run to clean up after it. `postgresql` and `mariadb` say what differs.
`tmpfs` gives a command or a server a disk small enough to fill.
"""
