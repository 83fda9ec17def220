"""Stages of text vectors, and what is known of texts on a day."""
