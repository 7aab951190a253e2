"""What a save and a replay cost, beside what the bare database driver takes for the same.

=============  =====================================================================================
`payloads`     the values that events carry
`items`        the aggregates of the library that carry them
`adapter`      what a workload asks of the library, or of the bare driver in its place
`library`      the library: ``python -m benchmarks.library W1``
`raw`          the bare driver: ``python -m benchmarks.raw W1``; its statements are in `storage`
`workloads`    the workloads; W7 is in `concurrency` and W10 in `imports`
`bench`        one run of one workload; `command` is its command line, `databases` what it finds out
               with a connection of its own, `measure` its clocks
`run`          all workloads on all databases, as `plan` says: ``make bench``
`report`       the page that it writes, with `plot` and `machine`
`breakdown`    where each microsecond goes: ``python -m benchmarks.breakdown``; its clocks are in
               `layers`
`peers`        this library as a driver of a comparison with other libraries
=============  =====================================================================================
"""
