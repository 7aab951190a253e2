"""What breaks, broken on purpose: kills, cuts, full disks, restarts and races, with a checker.

``make faults`` runs the short figures, ``make faults FULL=1`` the long ones. Each scenario prints
its seed, and ``python -m tests.faults --only NAME --seed N`` runs it again.
"""
