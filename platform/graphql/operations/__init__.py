"""What runs a franchise behind its leads: every message, what came in, what was done, by whom, and who may sign in."""
