"""The rating study: who rates what and when, what they said, and what follows from it."""
