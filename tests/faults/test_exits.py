"""What is taken for an error in the last words of a client that exits."""

import pytest

from tests.faults.exits import Way, errors_in

MISHAP = """Traceback (most recent call last):
  File "exits.py", line 133, in _live
    raise RuntimeError(MISHAP)
RuntimeError: an error that nobody caught
"""
RACE = """Exception ignored in atexit callback: <bound method finalize._exitfunc of <class 'f'>>
Traceback (most recent call last):
  File "weakref.py", line 656, in _exitfunc
    pending = cls._select_for_exit()
              ^^^^^^^^^^^^^^^^^^^^^^
RuntimeError: dictionary changed size during iteration
"""


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("", 0),
        (MISHAP, 1),
        (RACE, 0),
        (MISHAP + RACE, 1),
        (RACE + MISHAP, 1),
        (RACE + RACE, 2),
        (RACE.replace("callback: ", "callback ").replace("'f'>>", "'f'>>:"), 0),  # Python 3.13
        (RACE.replace("finalize._exitfunc", "close"), 2),
        (RACE.replace("dictionary changed size during iteration", "closed"), 2),
        (RACE.replace("RuntimeError: dictionary", "KeyError: dictionary"), 2),
        (RACE.splitlines()[0] + "\n" + MISHAP + RACE.splitlines()[-1] + "\n", 3),
    ],
)
def test_all_errors_count_but_a_race_of_pythons_own(said: str, count: int) -> None:
    assert errors_in(said, "daemons") == count


@pytest.mark.parametrize(
    ("way", "count"), [("daemons", 0), ("raise", 0), ("close", 0), ("wait", 2)]
)
def test_there_is_no_race_where_all_threads_were_waited_for(way: Way, count: int) -> None:
    assert errors_in(RACE, way) == count
