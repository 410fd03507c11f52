"""tinytrain compiles a trained model into C that goes on training it on a microcontroller."""

__version__ = "0.1.0"
