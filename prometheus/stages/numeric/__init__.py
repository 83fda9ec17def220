"""Stages of numeric windows and the encoders fitted for them."""
