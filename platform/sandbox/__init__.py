"""The outside world in a box: the services the product talks to with their quirks, and the customers' pages."""
