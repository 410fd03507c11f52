"""What a compiled model takes: one page of HTML and tables, from the manifest alone."""
