"""Stages of scenario sets and their embeddings."""
