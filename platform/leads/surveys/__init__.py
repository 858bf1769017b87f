"""The questions a shop asks on its survey page, and the answers."""
