"""`make demo`: the whole product on one machine, with two franchises and the outside world in a box."""
