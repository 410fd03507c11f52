"""Boards that one buys: how a program gets into them."""
