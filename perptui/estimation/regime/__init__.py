"""The regime of the book: inputs, rule, models, their vote, and the exposure it allows."""
