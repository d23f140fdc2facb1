"""The HTTP face of Larimar Service and the model that it hosts."""

__version__ = "0.1.0"
