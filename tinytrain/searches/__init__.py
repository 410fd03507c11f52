"""What to train: candidates are measured by short trainings, and the best that fits is chosen."""
