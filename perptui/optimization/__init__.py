"""From estimates and limits to targets and lots."""
