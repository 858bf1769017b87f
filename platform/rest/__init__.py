"""What the public reaches by plain HTTP."""
