"""Tests of the chart and the image on a real cluster. The numbered files use one release, in order."""
