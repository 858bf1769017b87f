"""Breaking things on purpose, and counting what was lost."""
