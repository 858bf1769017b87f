"""The public REST API of the survey and booking flow: one declaration of each operation validates and documents it."""
