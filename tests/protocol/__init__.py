"""Bytes on a connection: bounds, deadlines, disconnects, and every error over a real socket."""
