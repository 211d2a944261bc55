"""What replicas share through Redis, and what takes its place when there is none."""
