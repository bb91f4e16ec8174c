"""The worker process: what it can be asked, and its loop."""
