"""Stages of the assessment: fits and scores."""
