"""`slipway dev`, its embedded servers, and `slipway seed`."""
