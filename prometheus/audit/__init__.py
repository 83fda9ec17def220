"""Proof and care: the look-ahead audit and the doctor."""
