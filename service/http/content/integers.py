"""The ranges of PostgreSQL's integer types (section 8.1.1)."""

INT16 = range(-(2**15), 2**15)
INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)
