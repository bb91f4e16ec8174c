"""The desk process: poll, hold the state, propose, confirm, send, reconcile, serve."""
