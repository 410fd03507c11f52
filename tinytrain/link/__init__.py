"""A model at the end of a serial line: frames, questions and answers, and what a board says."""
