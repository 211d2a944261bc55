"""What a request costs, compared with other ways to write the same service: `make bench`.

All programs serve the same table of the same PostgreSQL (the articles of tests/shop), each as one process on one
processor; wrk (https://github.com/wg/wrk) and the servers have the others. wrk sends the same requests to each program
in turn, in several rounds. What counts is the CPU time of the program's processes for each request, read from /proc:
other work on the machine disturbs it far less than it does requests per second. The floor is what no service in Python
can go below: a bare ASGI function over asyncpg, without authentication, validation, limits, logs or metrics.
"""
