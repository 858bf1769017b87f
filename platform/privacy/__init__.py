"""What a person may ask for: all that is held about them, and that it is erased."""
