"""What reads rows, given what nobody wrote: inputs of a fuzzer that sees which code runs.

``python -m tests.faults.fuzz TARGET --seconds 60`` fuzzes one target; with ``--replay FILE`` it
gives it one input again. The scenario ``fuzzing`` does it for all of them.
"""
