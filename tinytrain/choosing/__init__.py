"""What to train: what each layer and channel is worth, and how to choose among them."""
