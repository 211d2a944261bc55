"""The `slipway` command from the outside: processes, ports, signals and output."""
