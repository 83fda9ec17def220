"""Stages of universes, portfolios and the vectors of portfolios."""
