"""The chart and the image on a real cluster. Numbered files: one release lives through them."""
