"""The Tiltfile and the scripts of tilt/."""
