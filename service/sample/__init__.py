"""The sample catalogue: what `slipway dev` and `slipway seed` put into an empty database."""
