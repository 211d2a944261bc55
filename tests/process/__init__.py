"""The `slipway` command as its operator meets it: processes, ports, signals, output."""
