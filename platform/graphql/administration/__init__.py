"""The administrators' part of the API."""
