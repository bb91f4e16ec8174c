"""What terminals are shown, made from the desk's state."""
