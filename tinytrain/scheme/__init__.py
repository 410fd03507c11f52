"""Update schemes: what is trained."""
