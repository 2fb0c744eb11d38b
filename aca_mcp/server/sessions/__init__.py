"""Whose sessions there are, and what ran in them."""
