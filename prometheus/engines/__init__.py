"""Engines: heads on the embeddings. Frames in, frames out."""
