"""What the assistant may say: prices, times and promises only where this conversation's tools have shown them."""
