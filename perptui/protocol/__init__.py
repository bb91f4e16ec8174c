"""Records between terminal and desk: views one way, intents the other, frames around both."""
