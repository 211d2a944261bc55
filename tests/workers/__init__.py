"""Workers for pytest-xdist that need not collect the tests: one process does, and is forked for each of them.

- controller.py, a plugin of pytest, starts that process and lets pytest-xdist take its workers from it.
- collector.py is that process, and what its forks do.
- order.py lets some of them wait while others compute.
"""
